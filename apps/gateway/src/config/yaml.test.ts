import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ConfigProblem, onOneLine, placed } from './problems.ts';
import { parseYaml, type YamlSource } from './yaml.ts';

const lineOf = (problem: ConfigProblem) => onOneLine(placed(problem));

function parse(text: string): YamlSource {
  const source = parseYaml('gateway.yaml', text);
  if ('problems' in source) throw new Error(source.problems.map(lineOf).join('\n'));
  return source;
}

function place(text: string, path: (string | number)[], at?: 'key'): string {
  const { line, column } = parse(text).locate({ path, message: '', ...(at ? { at } : {}) });
  return `${line}:${column}`;
}

describe('places', () => {
  const text =
    'server:\n  listen: x\nauthenticators:\n  - name: a\n    options: &o\n      url: {env: A}\n  - options: *o\n    empty:\n';

  test('a value', () => expect(place(text, ['server', 'listen'])).toBe('2:11'));
  test('a key', () => expect(place(text, ['server', 'listen'], 'key')).toBe('2:3'));
  test('an entry of a list', () => expect(place(text, ['authenticators', 1])).toBe('7:5'));
  test('a value in a list', () =>
    expect(place(text, ['authenticators', 0, 'options', 'url', 'env'])).toBe('6:18'));
  test('a value behind an alias', () =>
    expect(place(text, ['authenticators', 1, 'options', 'url'])).toBe('6:12'));
  test('an empty value is after its key', () =>
    expect(place(text, ['authenticators', 1, 'empty'])).toBe('8:11'));
  test('a missing value is where its parent is', () =>
    expect(place(text, ['server', 'tls', 'certFile'])).toBe('2:3'));
  test('a problem of the whole file is at its top', () => expect(place(text, [])).toBe('1:1'));
  test('a key that looks like a number', () => expect(place('a:\n  1: x', ['a', '1'])).toBe('2:6'));
});

describe('refused', () => {
  test.each([
    ['an empty file', '', '1:1: is empty: write at least one entry under authenticators'],
    [
      'only a comment',
      '# nothing\n',
      '1:1: is empty: write at least one entry under authenticators',
    ],
    [
      'a list at the top',
      '- a',
      '1:1: must have keys and values at the top level, such as "authenticators:"',
    ],
    [
      'a text at the top',
      'hello',
      '1:1: must have keys and values at the top level, such as "authenticators:"',
    ],
    [
      'a duplicate key',
      'a: 1\nb: 2\na: 3',
      '3:1: duplicate key, which is already on line 1: remove one',
    ],
    [
      'a number and a text of one key',
      '1: x\n"1": y',
      '2:1: duplicate key, which is already on line 1: remove one',
    ],
    [
      'several documents',
      'a: 1\n---\nb: 2',
      '2:1: a second document begins here: keep one and remove the "---" line',
    ],
    [
      'an unknown tag',
      'a: !foo b',
      '1:4: unknown tag (a word that begins with "!"): quote a value that begins with !',
    ],
    [
      'a tag that is not a plain value',
      'a: !!set {x}',
      '1:4: unknown tag (a word that begins with "!")',
    ],
    ['a key that is a list', '? [a]\n: b', '1:3: a key must be a word'],
    ['a prototype', 'a:\n  __proto__: {b: 1}', '2:3: a.__proto__: is not allowed as a key'],
    ['a list within itself', 'a: &x [*x]', 'an alias contains itself'],
    ['deep nesting', `a: ${'['.repeat(100)}${']'.repeat(100)}`, 'values are nested too deeply'],
    ['very deep nesting', `a: ${'['.repeat(30_000)}`, 'values are nested too deeply'],
  ])('%s', (_name, text, expected) => {
    expect(() => parse(text)).toThrow(expected);
  });

  test('an alias bomb', () => {
    const rows = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name, index, names) => {
      const inner = index === 0 ? 'x' : `*${names[index - 1]}`;
      return `${name}: &${name} [${Array(9).fill(inner).join(', ')}]`;
    });
    expect(() => parse(rows.join('\n'))).toThrow('or too many aliases');
  });

  test.each([
    '!Secr3tPw',
    '*Secr3tPw',
    '|Secr3tPw',
    '>Secr3tPw',
    '!!Secr3tPw',
    '!<Secr3tPw> x',
    '!e!Secr3tPw x',
    '&Secr3tPw &Secr3tPw x',
  ])('a password %s where { env } belongs is not quoted', (password) => {
    expect(() => parse(`password: ${password}`)).toThrow(/^(?!.*Secr3tPw)/s);
  });

  test('no line of the file is quoted', () => {
    expect(() => parse('password: "hunter2\nurl: }')).toThrow(/^(?!.*hunter2)/s);
  });
});

test('a blank that is not a space may be in a value', () => {
  const [quoted, plain, block] = ['b: "\u00a0x"', 'c: x\u00a0y', 'd: |\n    \u00a0x'];
  expect(parse(`a:\n  ${[quoted, plain, block].join('\n  ')}\n`).value).toEqual({
    a: { b: '\u00a0x', c: 'x\u00a0y', d: '\u00a0x\n' },
  });
});

test('YAML 1.2: yes is a text and 012 a number', () => {
  expect(parse('a: yes\nb: 012\nc: &x 1\nd: *x').value).toEqual({ a: 'yes', b: 12, c: 1, d: 1 });
});

function problems(text: string): string[] {
  const source = parseYaml('gateway.yaml', text);
  return 'problems' in source
    ? source.problems.map((one) => lineOf(one).replace('gateway.yaml:', ''))
    : [];
}

const colon = 'a value contains ": ", which YAML reads as a new key: put the whole value in quotes';
const indent =
  'the indentation does not fit the lines above: align it with the lines that it belongs to, by spaces';
const deeper =
  'is indented deeper than the key above it, which already has a value: align the two, or add a space after the dash above';
const noColon =
  'a key needs a colon and a space after it: write "key: value", or align it with the lines that it belongs to, by spaces';
const bracket = 'a bracket is not closed: close it with ] or }';
const quote = 'a quote is not closed: end the value with the same quote';
const tab = 'a tab is used to indent: use spaces';
const blank = (code: string) =>
  `the blank here is not a space (U+${code}), and YAML reads it as a letter: use spaces, on the other lines as well`;
const dash = (line: number) =>
  `duplicate key, which is already on line ${line}: if a new list entry begins here, write "- " before it; otherwise remove one`;
const quoted =
  'a value begins with a reserved YAML character (@, ` or %): put the whole value in quotes';

describe('a slip is reported once, at the line that must change', () => {
  test.each([
    ['a prefix that ends with a colon', 'a:\n  prefix: corp:\n', [`2:11: ${colon}`]],
    [
      'two of them',
      'a:\n  prefix: corp:\nb:\n  prefix: corp: # both\n',
      [`2:11: ${colon}`, `4:11: ${colon}`],
    ],
    ['one within braces', 'a: { prefix: corp: }\n', [`1:14: ${colon}`]],
    ['a value with a colon in it', 'a: b: c\n', [`1:4: ${colon}`]],
    [
      'a key that is too deep',
      'a:\n  - name: b\n     use: c\n    options: {}\n',
      [`3:6: ${deeper}`],
    ],
    [
      'the same behind a comment',
      'a:\n  listen: b # c: d\n\n  # e\n   max: 5\n',
      [`5:4: ${indent}`],
    ],
    ['a key that is not deep enough', 'a:\n  listen: b\n max: 5\nc:\n  - d\n', [`3:2: ${indent}`]],
    ['a key of an entry next to its dash', 'a:\n  - name: b\n  use: c\n', [`3:3: ${indent}`]],
    [
      'an entry that is too deep',
      'a:\n  - name: b\n   - name: c\n    use: d\n',
      [`3:4: ${indent}`],
    ],
    ['a dash without a space', 'a:\n  -name: b\n   use: c\n', [`3:4: ${deeper}`]],
    ['a colon without a space', 'a:\n  listen:127.0.0.1:8080\n  max: 4\n', [`2:3: ${noColon}`]],
    ['the same in the last line', 'a:\n  max: 4\n  listen:127.0.0.1:8080\n', [`3:3: ${noColon}`]],
    ['a key without a colon', 'a:\n  tls\n    certFile: b\n', [`2:3: ${noColon}`]],
    ['tabs', 'a:\n\tb: c\n\td: e\n', [`2:1: ${tab}`, `3:1: ${tab}`]],
    ['a tab behind a dash', 'a:\n  -\tname: b\n    use: c\n', [`2:4: ${tab}`]],
    ['a tab behind a space', 'a:\n  b: 1\n \tc: 2\n', [`3:3: ${indent}`]],
    ['no-break spaces that indent', 'a:\n\u00a0\u00a0b: 1\n  c: 2\n', [`2:1: ${blank('00A0')}`]],
    ['one behind a dash', 'a:\n  -\u00a0b: 1\n    c: 2\n', [`2:4: ${blank('00A0')}`]],
    ['one behind a colon', 'a:\n  b:\u00a01\n  c: 2\n', [`2:5: ${blank('00A0')}`]],
    ['one before a key, without an error of YAML', 'a:\n  \u00a0b: 1\n', [`2:3: ${blank('00A0')}`]],
    ['a blank without a width behind a key', 'a:\n  b\u200b: 1\n', [`2:4: ${blank('200B')}`]],
    [
      'an entry without its dash',
      'a:\n  - name: b\n    use: c\n    name: d\n    use: e\n  - name: f\n    name: g\n',
      [`4:5: ${dash(2)}`, `7:5: ${dash(6)}`],
    ],
    [
      'one that begins with another key',
      'a:\n  - b: 1\n    c: 2\n    d: 3\n    c: 4\n    d: 5\n',
      [`5:5: ${dash(3)}`],
    ],
    [
      'a duplicate key of an entry',
      'a:\n  - b: 1\n    c: 2\n    c: 3\n',
      ['4:5: duplicate key, which is already on line 3: remove one'],
    ],
    ['a bracket that stays open', 'a: [b, c\nd:\n  - e\n', [`1:4: ${bracket}`]],
    ['a brace that stays open', 'a:\n  - b: { c: d\n  - e: f\n', [`2:8: ${bracket}`]],
    ['a bracket, up to the end', 'a: [b\n', [`1:4: ${bracket}`]],
    ['a quote that stays open', 'a:\n  - name: "b\n    use: c\n', [`2:11: ${quote}`]],
    ['a quote, and another later', 'a: "b\nc: "d"\n', [`1:4: ${quote}`]],
    ["a quote '", "a: don't\nb: 'c\nd: e\n", [`2:4: ${quote}`]],
    ['a value that begins with @', 'a: @b\n', [`1:4: ${quoted}`]],
    ['a backslash', 'a: "b\\,c"\n', [expect.stringMatching(/^1:6: a backslash in double quotes/)]],
    [
      "an apostrophe in '…'",
      "a: 'it's'\n",
      [expect.stringMatching(/^1:8: a value continues after its closing quote or bracket/)],
    ],
    [
      'a list in the line of its key',
      'a: - b\n',
      [expect.stringMatching(/^1:4: a list begins on the line of its key/)],
    ],
    [
      'a glob',
      'a:\n  - b\n  - *-admins\n',
      [expect.stringMatching(/^3:5: unknown alias .*, or too many/)],
    ],
    ['a lone star', 'a: [*]\n', [expect.stringMatching(/^1:5: unknown alias /)]],
  ])('%s', (_name, text, expected) => {
    expect(problems(text)).toEqual(expected);
  });
});

const good = `server:
  listen: 127.0.0.1:8080 # here
  apiAudiences: [a, "b"]
authenticators:
  - name: corp
    use: ldap
    options:
      bind: { dn: "cn=a,dc=b", password: 'Secr3tPw' }
      password: Secr3tPw
      urls:
        - ldaps://a.example.com
`;

test('whatever is mistyped: there is a message, a place in the file, and no secret', () => {
  const signs = [...'\t\n :-[]{}"\'#&*!|>%@`,?\\a', '  '];
  const slip = fc.record({
    at: fc.nat(good.length - 1),
    remove: fc.nat(2),
    insert: fc.constantFrom('', ...signs),
  });
  fc.assert(
    fc.property(fc.array(slip, { minLength: 1, maxLength: 3 }), (slips) => {
      const text = slips.reduce(
        (old, { at, remove, insert }) => old.slice(0, at) + insert + old.slice(at + remove),
        good,
      );
      const source = parseYaml('gateway.yaml', text);
      if (!('problems' in source)) return;
      const lines = text.split('\n').length;
      expect(source.problems.length).toBeGreaterThan(0);
      for (const { line = 0, message, fix } of source.problems) {
        expect(line >= 1 && line <= lines, `${line} of ${lines}`).toBe(true);
        expect(message).not.toBe('');
        expect(`${message}${fix}`).not.toMatch(/Secr|3tPw|example|corp/);
      }
    }),
    { numRuns: 1_000 },
  );
});

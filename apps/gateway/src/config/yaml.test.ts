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

describe('the place of a problem', () => {
  const text =
    'server:\n  listen: x\nauthenticators:\n  - name: a\n    options: &o\n      url: {env: A}\n  - options: *o\n    empty:\n';

  test('with a value is where the value begins', () =>
    expect(place(text, ['server', 'listen'])).toBe('2:11'));
  test('with a key is where the key begins', () =>
    expect(place(text, ['server', 'listen'], 'key')).toBe('2:3'));
  test('with an entry of a list is where the entry begins', () =>
    expect(place(text, ['authenticators', 1])).toBe('7:5'));
  test('with a value in a list is where the value begins', () =>
    expect(place(text, ['authenticators', 0, 'options', 'url', 'env'])).toBe('6:18'));
  test('with a value behind an alias is at the anchor', () =>
    expect(place(text, ['authenticators', 1, 'options', 'url'])).toBe('6:12'));
  test('with an empty value is after its key', () =>
    expect(place(text, ['authenticators', 1, 'empty'])).toBe('8:11'));
  test('with a missing value is where its parent is', () =>
    expect(place(text, ['server', 'tls', 'certFile'])).toBe('2:3'));
  test('with the whole file is at its top', () => expect(place(text, [])).toBe('1:1'));
  test('is found by a key that looks like a number', () =>
    expect(place('a:\n  1: x', ['a', '1'])).toBe('2:6'));
});

describe('what YAML is refused', () => {
  test.each([
    {
      name: 'an empty file',
      text: '',
      expected: '1:1: is empty: write at least one entry under authenticators',
    },
    {
      name: 'only a comment',
      text: '# nothing\n',
      expected: '1:1: is empty: write at least one entry under authenticators',
    },
    {
      name: 'a list at the top',
      text: '- a',
      expected: '1:1: must have keys and values at the top level, such as "authenticators:"',
    },
    {
      name: 'a text at the top',
      text: 'hello',
      expected: '1:1: must have keys and values at the top level, such as "authenticators:"',
    },
    {
      name: 'a duplicate key',
      text: 'a: 1\nb: 2\na: 3',
      expected: '3:1: duplicate key, which is already on line 1: remove one, or write',
    },
    {
      name: 'a number and a text of one key',
      text: '1: x\n"1": y',
      expected: '2:1: duplicate key, which is already on line 1: remove one, or write',
    },
    {
      name: 'several documents',
      text: 'a: 1\n---\nb: 2',
      expected: '2:1: a second document begins here: keep one and remove the "---" line',
    },
    {
      name: 'an unknown tag',
      text: 'a: !foo b',
      expected: '1:4: unknown tag (a word that begins with "!"): quote a value that begins with !',
    },
    {
      name: 'a tag that is not a plain value',
      text: 'a: !!set {x}',
      expected: '1:4: unknown tag (a word that begins with "!")',
    },
    { name: 'a key that is a list', text: '? [a]\n: b', expected: '1:3: a key must be a word' },
    {
      name: 'a prototype',
      text: 'a:\n  __proto__: {b: 1}',
      expected: '2:3: a.__proto__: is not allowed as a key',
    },
    { name: 'a list within itself', text: 'a: &x [*x]', expected: 'an alias contains itself' },
    {
      name: 'deep nesting',
      text: `a: ${'['.repeat(100)}${']'.repeat(100)}`,
      expected: 'values are nested too deeply',
    },
    {
      name: 'very deep nesting',
      text: `a: ${'['.repeat(30_000)}`,
      expected: 'values are nested too deeply',
    },
  ])('is reported with its place: $name', ({ text, expected }) => {
    expect(() => parse(text)).toThrow(expected);
  });

  test('is reported before it is expanded, as an alias bomb', () => {
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
const duplicate = (line: number) =>
  `duplicate key, which is already on line ${line}: remove one, or write "- " before the first key of a new list entry`;
const quoted =
  'a value begins with a reserved YAML character (@, ` or %): put the whole value in quotes';

describe('a slip is reported once, at the line that must change', () => {
  test.each([
    {
      name: 'a prefix that ends with a colon',
      text: 'a:\n  prefix: corp:\n',
      expected: [`2:11: ${colon}`],
    },
    {
      name: 'two of them',
      text: 'a:\n  prefix: corp:\nb:\n  prefix: corp: # both\n',
      expected: [`2:11: ${colon}`, `4:11: ${colon}`],
    },
    { name: 'one within braces', text: 'a: { prefix: corp: }\n', expected: [`1:14: ${colon}`] },
    { name: 'a value with a colon in it', text: 'a: b: c\n', expected: [`1:4: ${colon}`] },
    {
      name: 'a key that is too deep',
      text: 'a:\n  - name: b\n     use: c\n    options: {}\n',
      expected: [`3:6: ${deeper}`],
    },
    {
      name: 'the same behind a comment',
      text: 'a:\n  listen: b # c: d\n\n  # e\n   max: 5\n',
      expected: [`5:4: ${indent}`],
    },
    {
      name: 'a key that is not deep enough',
      text: 'a:\n  listen: b\n max: 5\nc:\n  - d\n',
      expected: [`3:2: ${indent}`],
    },
    {
      name: 'a key of an entry next to its dash',
      text: 'a:\n  - name: b\n  use: c\n',
      expected: [`3:3: ${indent}`],
    },
    {
      name: 'an entry that is too deep',
      text: 'a:\n  - name: b\n   - name: c\n    use: d\n',
      expected: [`3:4: ${indent}`],
    },
    {
      name: 'a dash without a space',
      text: 'a:\n  -name: b\n   use: c\n',
      expected: [`3:4: ${deeper}`],
    },
    {
      name: 'a colon without a space',
      text: 'a:\n  listen:127.0.0.1:8080\n  max: 4\n',
      expected: [`2:3: ${noColon}`],
    },
    {
      name: 'the same in the last line',
      text: 'a:\n  max: 4\n  listen:127.0.0.1:8080\n',
      expected: [`3:3: ${noColon}`],
    },
    {
      name: 'a key without a colon',
      text: 'a:\n  tls\n    certFile: b\n',
      expected: [`2:3: ${noColon}`],
    },
    { name: 'tabs', text: 'a:\n\tb: c\n\td: e\n', expected: [`2:1: ${tab}`, `3:1: ${tab}`] },
    {
      name: 'a tab behind a dash',
      text: 'a:\n  -\tname: b\n    use: c\n',
      expected: [`2:4: ${tab}`],
    },
    { name: 'a tab behind a space', text: 'a:\n  b: 1\n \tc: 2\n', expected: [`3:3: ${indent}`] },
    {
      name: 'an entry without its dash',
      text: 'a:\n  - name: b\n    use: c\n    name: d\n    use: e\n  - name: f\n    name: g\n',
      expected: [`4:5: ${duplicate(2)}`, `5:5: ${duplicate(3)}`, `7:5: ${duplicate(6)}`],
    },
    {
      name: 'a duplicate key of an entry',
      text: 'a:\n  - b: 1\n    c: 2\n    c: 3\n',
      expected: [`4:5: ${duplicate(3)}`],
    },
    {
      name: 'a bracket that stays open',
      text: 'a: [b, c\nd:\n  - e\n',
      expected: [`1:4: ${bracket}`],
    },
    {
      name: 'a brace that stays open',
      text: 'a:\n  - b: { c: d\n  - e: f\n',
      expected: [`2:8: ${bracket}`],
    },
    { name: 'a bracket, up to the end', text: 'a: [b\n', expected: [`1:4: ${bracket}`] },
    {
      name: 'a quote that stays open',
      text: 'a:\n  - name: "b\n    use: c\n',
      expected: [`2:11: ${quote}`],
    },
    { name: 'a quote, and another later', text: 'a: "b\nc: "d"\n', expected: [`1:4: ${quote}`] },
    { name: "a quote '", text: "a: don't\nb: 'c\nd: e\n", expected: [`2:4: ${quote}`] },
    { name: 'a value that begins with @', text: 'a: @b\n', expected: [`1:4: ${quoted}`] },
    {
      name: 'a backslash',
      text: 'a: "b\\,c"\n',
      expected: [expect.stringMatching(/^1:6: a backslash in double quotes/)],
    },
    {
      name: "an apostrophe in '…'",
      text: "a: 'it's'\n",
      expected: [
        expect.stringMatching(/^1:8: a value continues after its closing quote or bracket/),
      ],
    },
    {
      name: 'a list in the line of its key',
      text: 'a: - b\n',
      expected: [expect.stringMatching(/^1:4: a list begins on the line of its key/)],
    },
    {
      name: 'a glob',
      text: 'a:\n  - b\n  - *-admins\n',
      expected: [expect.stringMatching(/^3:5: unknown alias .*, or too many/)],
    },
    {
      name: 'a lone star',
      text: 'a: [*]\n',
      expected: [expect.stringMatching(/^1:5: unknown alias /)],
    },
  ])('$name', ({ text, expected }) => {
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

import { describe, expect, test } from 'vitest';
import { formatProblem } from './problems.ts';
import { parseYaml, type YamlSource } from './yaml-source.ts';

function parse(text: string): YamlSource {
  const source = parseYaml('gateway.yaml', text);
  if ('problems' in source) throw new Error(source.problems.map(formatProblem).join('\n'));
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
  test('a value in a list', () => expect(place(text, ['authenticators', 0, 'options', 'url', 'env'])).toBe('6:18'));
  test('a value behind an alias', () => expect(place(text, ['authenticators', 1, 'options', 'url'])).toBe('6:12'));
  test('an empty value is after its key', () => expect(place(text, ['authenticators', 1, 'empty'])).toBe('8:11'));
  test('a missing value is where its parent is', () => expect(place(text, ['server', 'tls', 'certFile'])).toBe('2:3'));
  test('a problem of the whole file is at its top', () => expect(place(text, [])).toBe('1:1'));
  test('a key that looks like a number', () => expect(place('a:\n  1: x', ['a', '1'])).toBe('2:6'));
});

describe('refused', () => {
  test.each([
    ['an empty file', '', '1:1: is empty: it needs at least one entry under authenticators'],
    ['only a comment', '# nothing\n', '1:1: is empty: it needs at least one entry under authenticators'],
    ['a list at the top', '- a', '1:1: must be keys and values at its top, such as "authenticators:"'],
    ['a text at the top', 'hello', '1:1: must be keys and values at its top, such as "authenticators:"'],
    ['a duplicate key', 'a: 1\nb: 2\na: 3', '3:1: duplicate key: remove one'],
    ['a number and a text of one key', '1: x\n"1": y', '2:1: duplicate key: remove one'],
    ['several documents', 'a: 1\n---\nb: 2', '2:1: a second document begins here: keep one and remove the "---" line'],
    [
      'an unknown tag',
      'a: !foo b',
      '1:4: a tag (a word that begins with "!") is not known: quote a value that begins with !',
    ],
    ['a tag that is no plain value', 'a: !!set {x}', '1:4: a tag (a word that begins with "!") is not known'],
    ['a tab', 'a:\n\tb: c', '2:1: a tab is used to indent: use spaces'],
    ['a key that is a list', '? [a]\n: b', '1:3: a key must be a word'],
    [
      'IPv6 without quotes',
      'a: [::1]:0',
      '1:9: a value goes on after its brackets end: quote a value that begins with [ or {',
    ],
    ['an alias of nothing', 'a: *x', 'an alias (a word that begins with "*") cannot be resolved'],
    ['a prototype', 'a:\n  __proto__: {b: 1}', '2:3: a.__proto__: is not allowed as a key'],
    ['a list within itself', 'a: &x [*x]', 'an alias contains itself'],
    ['deep nesting', `a: ${'['.repeat(100)}${']'.repeat(100)}`, 'values are nested too deep'],
    ['very deep nesting', `a: ${'['.repeat(100_000)}`, 'values are nested too deep'],
  ])('%s', (_name, text, expected) => {
    expect(() => parse(text)).toThrow(expected);
  });

  test('an alias bomb', () => {
    const rows = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name, index, names) => {
      const inner = index === 0 ? 'x' : `*${names[index - 1]}`;
      return `${name}: &${name} [${Array(9).fill(inner).join(', ')}]`;
    });
    expect(() => parse(rows.join('\n'))).toThrow('or there are too many');
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

test('YAML 1.2: yes is a text and 012 a number', () => {
  expect(parse('a: yes\nb: 012\nc: &x 1\nd: *x').value).toEqual({ a: 'yes', b: 12, c: 1, d: 1 });
});

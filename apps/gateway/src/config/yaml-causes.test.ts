import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatProblem } from './problems.ts';
import { parseYaml } from './yaml-source.ts';

function problems(text: string): string[] {
  const source = parseYaml('gateway.yaml', text);
  return 'problems' in source ? source.problems.map((one) => formatProblem(one).replace('gateway.yaml:', '')) : [];
}

const colon = 'a value holds a colon where YAML ends a key: put the whole value in quotes';
const indent = 'the indentation does not fit the lines above: align it with the lines that it belongs to';
const deeper = 'is indented deeper than the key above it, which has a value of its own: align the two';
const space = 'a space is missing after the colon: add it';
const noColon = 'a key without a colon: write ":" after it, or align it with what it belongs to';
const tab = 'a tab is used to indent: use spaces';
const quoted = 'a value begins with a sign of YAML (@, ` or %): put the whole value in quotes';

describe('a slip is reported once, at the line that must change', () => {
  test.each([
    ['a prefix that ends with a colon', 'a:\n  prefix: corp:\n', [`2:11: ${colon}`]],
    ['two of them', 'a:\n  prefix: corp:\nb:\n  prefix: corp: # both\n', [`2:11: ${colon}`, `4:11: ${colon}`]],
    ['one within braces', 'a: { prefix: corp: }\n', [`1:14: ${colon}`]],
    ['a value with a colon in it', 'a: b: c\n', [`1:4: ${colon}`]],
    ['a key that is too deep', 'a:\n  - name: b\n     use: c\n    options: {}\n', [`3:6: ${deeper}`]],
    ['the same behind a comment', 'a:\n  listen: b # c: d\n\n  # e\n   max: 5\n', [`5:4: ${indent}`]],
    ['a key that is not deep enough', 'a:\n  listen: b\n max: 5\nc:\n  - d\n', [`3:2: ${indent}`]],
    ['a key of an entry beside its dash', 'a:\n  - name: b\n  use: c\n', [`3:3: ${indent}`]],
    ['an entry that is too deep', 'a:\n  - name: b\n   - name: c\n    use: d\n', [`3:4: ${indent}`]],
    [
      'a dash without a space',
      'a:\n  -name: b\n   use: c\n',
      ['2:3: an item of a list needs a space after its dash: add it'],
    ],
    ['a colon without a space', 'a:\n  listen:127.0.0.1:8080\n  max: 4\n', [`2:3: ${space}`]],
    ['the same in the last line', 'a:\n  max: 4\n  listen:127.0.0.1:8080\n', [`3:3: ${space}`]],
    ['a key without a colon', 'a:\n  tls\n    certFile: b\n', [`2:3: ${noColon}`]],
    ['tabs', 'a:\n\tb: c\n\td: e\n', [`2:1: ${tab}`, `3:1: ${tab}`]],
    ['a tab behind a dash', 'a:\n  -\tname: b\n    use: c\n', [`2:4: ${tab}`]],
    ['a tab behind a space', 'a:\n  b: 1\n \tc: 2\n', [`3:2: ${tab}`]],
    ['a bracket that stays open', 'a: [b, c\nd:\n  - e\n', ['1:4: "[" is not closed: close it with "]"']],
    ['a brace that stays open', 'a:\n  - b: { c: d\n  - e: f\n', ['2:8: "{" is not closed: close it with "}"']],
    ['a bracket, up to the end', 'a: [b\n', ['1:4: "[" is not closed: close it with "]"']],
    [
      'a quote that stays open',
      'a:\n  - name: "b\n    use: c\n',
      ['2:11: a quote is not closed: end the value with "'],
    ],
    ['a quote, and another later', 'a: "b\nc: "d"\n', ['1:4: a quote is not closed: end the value with "']],
    ["a quote '", "a: don't\nb: 'c\nd: e\n", ["2:4: a quote is not closed: end the value with '"]],
    ['a value that begins with @', 'a: @b\n', [`1:4: ${quoted}`]],
    ['a backslash', 'a: "b\\,c"\n', [expect.stringMatching(/^1:6: a backslash in double quotes/)]],
    ["an apostrophe in '…'", "a: 'it's'\n", [expect.stringMatching(/^1:8: a value goes on after its quotes end/)]],
    [
      'a list in the line of its key',
      'a: - b\n',
      [expect.stringMatching(/^1:4: a list begins in the line of its key/)],
    ],
    ['a glob', 'a:\n  - b\n  - *-admins\n', [expect.stringMatching(/^3:5: an alias .* cannot be resolved/)]],
    ['a lone star', 'a: [*]\n', [expect.stringMatching(/^1:5: an alias .* names nothing/)]],
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
    { numRuns: 3_000 },
  );
});

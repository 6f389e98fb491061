import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changeExtra, type ExtraRules } from './extra.ts';

const rules = (changed: Partial<ExtraRules> = {}): ExtraRules => ({
  rename: [],
  lowercase: true,
  ...changed,
});
const rename = [{ from: 'accessKeyId', to: 'example.com/Key' }];

test.each<{ name: string; given: ExtraRules; extra: object; expected: object | undefined }>([
  {
    name: 'keys become lowercase',
    given: rules(),
    extra: { canonicalArn: ['a'], b: ['c'] },
    expected: { canonicalarn: ['a'], b: ['c'] },
  },
  {
    name: 'keys stay as they are',
    given: rules({ lowercase: false }),
    extra: { canonicalArn: ['a'] },
    expected: { canonicalArn: ['a'] },
  },
  {
    name: 'a key is renamed',
    given: rules({ rename }),
    extra: { accessKeyId: ['a'] },
    expected: { 'example.com/key': ['a'] },
  },
  {
    name: 'a key is renamed by its exact name',
    given: rules({ rename }),
    extra: { accesskeyid: ['a'] },
    expected: { accesskeyid: ['a'] },
  },
  {
    name: 'a key that is renamed is not dropped',
    given: rules({ rename, drop: ['access*'] }),
    extra: { accessKeyId: [], accessToken: [] },
    expected: { 'example.com/key': [] },
  },
  {
    name: 'a key is dropped by its exact name',
    given: rules({ drop: ['A'] }),
    extra: { a: [], A: [], Ab: [] },
    expected: { a: [], ab: [] },
  },
  {
    name: 'keys are dropped by their beginning',
    given: rules({ drop: ['k8s.io/*'] }),
    extra: { 'k8s.io/a': [], 'k8s.io': [] },
    expected: { 'k8s.io': [] },
  },
  {
    name: 'all keys are dropped',
    given: rules({ drop: ['*'] }),
    extra: { a: [], B: [] },
    expected: {},
  },
  {
    name: 'two keys become one',
    given: rules(),
    extra: { a: ['1'], A: ['2'] },
    expected: undefined,
  },
  {
    name: 'two keys become one with a new name',
    given: rules({ rename: [{ from: 'b', to: 'A' }] }),
    extra: { a: ['1'], b: ['2'] },
    expected: undefined,
  },
  {
    name: 'a key that is dropped collides with none',
    given: rules({ drop: ['A'] }),
    extra: { a: ['1'], A: ['2'] },
    expected: { a: ['1'] },
  },
])('extra is changed by the rules: $name', ({ given, extra, expected }) => {
  expect(changeExtra(extra as Record<string, string[]>, given)).toEqual(expected);
});

test('values are neither lost nor moved to the key of another', () => {
  const keys = fc.oneof(
    fc.string(),
    fc.constantFrom('a', 'A', 'aB', 'AB', '__proto__', 'constructor'),
  );
  const extras = fc.dictionary(keys, fc.array(fc.string()), { noNullPrototype: true });
  fc.assert(
    fc.property(extras, fc.boolean(), (extra, lowercase) => {
      const changed = changeExtra(extra, rules({ lowercase }));
      const names = Object.keys(extra).map((key) => (lowercase ? key.toLowerCase() : key));
      if (new Set(names).size < names.length) expect(changed).toBeUndefined();
      else
        expect(Object.entries(changed ?? {}).sort()).toEqual(
          Object.values(extra)
            .map((values, at) => [names[at], values])
            .sort(),
        );
    }),
  );
});

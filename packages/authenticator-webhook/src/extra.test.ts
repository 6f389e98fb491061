import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changeExtra, type ExtraRules } from './extra.ts';

const rules = (changed: Partial<ExtraRules> = {}): ExtraRules => ({
  rename: [],
  lowercase: true,
  ...changed,
});
const rename = [{ from: 'accessKeyId', to: 'example.com/Key' }];

test.each<[string, ExtraRules, object, object | undefined]>([
  [
    'keys become lowercase',
    rules(),
    { canonicalArn: ['a'], b: ['c'] },
    { canonicalarn: ['a'], b: ['c'] },
  ],
  [
    'keys stay as they are',
    rules({ lowercase: false }),
    { canonicalArn: ['a'] },
    { canonicalArn: ['a'] },
  ],
  ['a key is renamed', rules({ rename }), { accessKeyId: ['a'] }, { 'example.com/key': ['a'] }],
  [
    'a key is renamed by its exact name',
    rules({ rename }),
    { accesskeyid: ['a'] },
    { accesskeyid: ['a'] },
  ],
  [
    'a key that is renamed is not dropped',
    rules({ rename, drop: ['access*'] }),
    { accessKeyId: [], accessToken: [] },
    { 'example.com/key': [] },
  ],
  [
    'a key is dropped by its exact name',
    rules({ drop: ['A'] }),
    { a: [], A: [], Ab: [] },
    { a: [], ab: [] },
  ],
  [
    'keys are dropped by their beginning',
    rules({ drop: ['k8s.io/*'] }),
    { 'k8s.io/a': [], 'k8s.io': [] },
    { 'k8s.io': [] },
  ],
  ['all keys are dropped', rules({ drop: ['*'] }), { a: [], B: [] }, {}],
  ['two keys become one', rules(), { a: ['1'], A: ['2'] }, undefined],
  [
    'two keys become one with a new name',
    rules({ rename: [{ from: 'b', to: 'A' }] }),
    { a: ['1'], b: ['2'] },
    undefined,
  ],
  [
    'a key that is dropped collides with none',
    rules({ drop: ['A'] }),
    { a: ['1'], A: ['2'] },
    { a: ['1'] },
  ],
])('%s', (_name, given, extra, expected) => {
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

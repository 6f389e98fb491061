import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { isObject } from '../text.ts';
import { type Edits, withEdits } from './edit.ts';
import { parseKubeconfig } from './files.ts';

const edit = (text: string, edits: Edits) =>
  withEdits({ path: 'config', text, document: parseKubeconfig(text) }, edits);

const prod: Edits = {
  entries: [{ kind: 'clusters', name: 'prod', value: { server: 'https://prod.example.com' } }],
  currentContext: 'prod',
};

test('an empty file becomes a kubeconfig', () => {
  expect(edit('', prod)).toBe(`apiVersion: v1
kind: Config
clusters:
  - name: prod
    cluster:
      server: "https://prod.example.com"
current-context: prod
`);
});

test('comments, other entries and keys that are not known stay', () => {
  const before = `# mine
apiVersion: v1
kind: Config
clusters:
# the old one
- cluster: {server: https://old.example.com, insecure-skip-tls-verify: true}
  name: old # keep
- name: prod
  cluster:
    server: https://before.example.com
users: []
contexts: null
x-mine: {a: [12345678901234567890, 0o17, yes, 1e3, ~]}
preferences: {}
`;
  expect(edit(before, prod)).toBe(`# mine
apiVersion: v1
kind: Config
clusters:
  # the old one
  - cluster: { server: https://old.example.com, insecure-skip-tls-verify: true }
    name: old # keep
  - name: prod
    cluster:
      server: "https://prod.example.com"
users: []
contexts: null
x-mine: { a: [ 12345678901234567890, 0o17, yes, 1e3, ~ ] }
preferences: {}
current-context: prod
`);
});

test('a kubeconfig in JSON can be edited', () => {
  const before = JSON.stringify({
    kind: 'Config',
    clusters: [{ name: 'old', cluster: {} }],
    'current-context': 'old',
  });
  expect(parse(edit(before, prod))).toEqual({
    kind: 'Config',
    clusters: [
      { name: 'old', cluster: {} },
      { name: 'prod', cluster: { server: 'https://prod.example.com' } },
    ],
    'current-context': 'prod',
    apiVersion: 'v1',
  });
});

test('long values are on one line', () => {
  const data = 'QUJD'.repeat(200);
  const text = edit('', { entries: [{ kind: 'clusters', name: 'x', value: { data } }] });
  expect(text).toContain(`data: ${data}\n`);
});

test('two edits are as one, and nothing else is lost or changed, whatever is there', () => {
  const name = fc.oneof(
    fc.constantFrom('prod', 'on', '1e3', 'null', '~', ''),
    fc.string({ unit: anyCharacter, maxLength: 5 }),
  );
  const value = fc.dictionary(name, fc.oneof(name, fc.integer(), fc.boolean(), fc.array(name)), {
    maxKeys: 3,
    noNullPrototype: true,
  });
  const list = (key: string) =>
    fc.uniqueArray(fc.record({ name, [key]: value }), {
      selector: (one) => one.name,
      maxLength: 4,
    });
  const content = fc.record(
    { clusters: list('cluster'), users: list('user'), contexts: list('context'), extra: value },
    { requiredKeys: [] },
  );
  const entry = fc.record({
    kind: fc.constantFrom('clusters', 'users', 'contexts'),
    name,
    value,
  } as const);
  fc.assert(
    fc.property(content, entry, fc.boolean(), (before, change, isFlow) => {
      const text = isFlow ? JSON.stringify(before) : stringify(before);
      const once = edit(text, { entries: [change] });
      expect(edit(once, { entries: [change] })).toBe(once);
      const after = parse(once);
      const others = (from: Record<string, { name: string }[] | undefined>, kind: string) =>
        (from[kind] ?? []).filter((one) => kind !== change.kind || one.name !== change.name);
      for (const kind of ['clusters', 'users', 'contexts']) {
        expect(others(after, kind)).toEqual(others(parse(text) ?? {}, kind));
      }
      expect(after.extra).toEqual(before.extra);
      const key = change.kind.slice(0, -1);
      expect(after[change.kind]).toContainEqual({ name: change.name, [key]: change.value });
    }),
    { numRuns: 50 },
  );
});

test.each([
  // The second name refers to the first entry, which is replaced.
  'clusters:\n- &a {name: prod, cluster: {server: https://x}}\nusers: [{name: u, user: *a}]\n',
  // Which of them counts depends on the reader.
  'clusters:\n- {name: prod, cluster: {server: https://x}}\n- {name: prod, cluster: {server: https://y}}\n',
])('%j cannot be edited without a loss, and is left as it was', (before) => {
  expect(() => edit(before, prod)).toThrow(
    /config: can't edit it without a loss, so it was left as it is/,
  );
});

test('a value that is lost where the file is written is seen', () => {
  const document = parseKubeconfig('');
  const create = document.createNode.bind(document);
  vi.spyOn(document, 'createNode').mockImplementation((value: unknown) =>
    create(isObject(value) && 'name' in value ? { name: value.name } : value),
  );
  expect(() => withEdits({ path: 'config', text: '', document }, prod)).toThrow(
    /can't edit it without a loss/,
  );
});

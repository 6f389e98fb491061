import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, onTestFinished, test, vi } from 'vitest';
import {
  currentContext,
  fileForNew,
  findKubeconfigEntry,
  kubeconfigPaths,
  parseKubeconfig,
  readFile,
} from './files.ts';

test.each([
  [undefined, undefined, ['/home/ada/.kube/config']],
  [undefined, '', ['/home/ada/.kube/config']],
  [undefined, ['/a', '', '/b', '/a'].join(delimiter), ['/a', '/b']],
  ['/given', '/a', ['/given']],
])('given %j and KUBECONFIG=%j, the files are %j', (given, KUBECONFIG, paths) => {
  expect(
    kubeconfigPaths(given, KUBECONFIG === undefined ? {} : { KUBECONFIG }, '/home/ada'),
  ).toEqual(paths);
});

test('new entries go where kubectl puts them', async () => {
  await using folder = await temporaryFolder('kubeconfig');
  const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ];
  expect(fileForNew([a, b, c])).toBe(c);
  await writeFile(b, '');
  await writeFile(c, '');
  expect(fileForNew([a, b, c])).toBe(b);
});

test('the first file that has something decides', async () => {
  await using folder = await temporaryFolder('kubeconfig');
  const [a, b, missing] = ['a', 'b', 'c'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ];
  const cluster = (server: string) => `clusters: [{name: prod, cluster: {server: "${server}"}}]\n`;
  await writeFile(a, `${cluster('https://a')}current-context: ""\n`);
  await writeFile(b, `${cluster('https://b')}current-context: b\n`);
  const files = [missing, a, b].map(readFile);
  expect(findKubeconfigEntry(files, 'clusters', 'prod')?.value).toEqual({ server: 'https://a' });
  expect(findKubeconfigEntry(files, 'users', 'prod')).toBeUndefined();
  expect(currentContext(files)).toBe('b');
});

test.each([
  ['clusters: [\n', /config:2: it is not valid YAML: /],
  ['a: 1\na: 2\n', /config:2: it is not valid YAML: Map keys must be unique/],
  ['a: 1\nb: {c: 1, d: 2, c: 3}\n', /config:2: it is not valid YAML: Map keys must be unique/],
  [
    'a: 1\nclusters:\n- x: 1\n  "x": 2\n',
    /config:4: it is not valid YAML: Map keys must be unique/,
  ],
  ['a: 1\n---\nb: 2\n', /config:\d+: it is not valid YAML: /],
  ['just text', /config: it is not a kubeconfig/],
  ['- a\n', /config: it is not a kubeconfig/],
  ['clusters: {prod: {}}\n', /config: clusters is not a list/],
])('%j is refused', async (text, message) => {
  await using folder = await temporaryFolder('kubeconfig');
  const file = join(folder.path, 'config');
  await writeFile(file, text);
  expect(() => readFile(file)).toThrow(message);
});

test('a folder is refused', async () => {
  await using folder = await temporaryFolder('kubeconfig');
  await mkdir(join(folder.path, 'config'));
  expect(() => readFile(join(folder.path, 'config'))).toThrow(
    /can't read the kubeconfig .*: it is a folder: name another one/,
  );
});

const keys = Array.from({ length: 3_000 }, (_, index) => `k${index}: 1`);

test.each([
  { form: 'lines', text: keys.join('\n') },
  { form: 'one line', text: `{${keys.join(', ')}}` },
])('3,000 keys in $form are not compared with each other', ({ text }) => {
  const some = vi.spyOn(Array.prototype, 'some');
  onTestFinished(() => some.mockRestore());
  const document = parseKubeconfig(text);
  const compared = some.mock.contexts.reduce<number>(
    (sum, list) => sum + (list as readonly unknown[]).length,
    0,
  );
  some.mockRestore();
  expect(Object.keys(document.toJS())).toHaveLength(keys.length);
  expect(compared).toBeLessThan(10 * keys.length);
});

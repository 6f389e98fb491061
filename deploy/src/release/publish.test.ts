import { hash } from 'node:crypto';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, onTestFinished, test } from 'vitest';
import { rootFolder, run } from '../run.ts';
import { obstacles, publishingSteps } from './publish.ts';

const ready = {
  version: '1.2.3',
  packages: [
    { name: 'a', version: '1.2.3', repository: 'x' },
    { name: 'b', version: '1.2.3', repository: 'x' },
  ],
  changes: 1,
  pending: 0,
  isClean: true,
  tag: 'v1.2.3',
  places: { image: 'registry.example.com/sallyport', charts: 'registry.example.com/charts' },
};

test('nothing is in the way of a version with its changes, on a clean commit with its tag', () => {
  expect(obstacles(ready)).toEqual([]);
});

test.each([
  {
    change: { packages: [{ name: 'a', version: '1.2.4', repository: 'x' }] },
    message: /several versions: 1\.2\.4/,
  },
  { change: { packages: [{ name: 'a', version: '1.2.3' }] }, message: /no "repository".* in a$/ },
  { change: { changes: 0 }, message: /no CHANGELOG\.md has changes of 1\.2\.3/ },
  { change: { pending: 2 }, message: /2 changesets are in no version/ },
  { change: { isClean: false }, message: /not committed/ },
  { change: { tag: '' }, message: /has not the tag v1\.2\.3/ },
  { change: { places: { charts: 'x' } }, message: /RELEASE_IMAGE/ },
  { change: { places: { image: 'x' } }, message: /RELEASE_CHARTS/ },
])('$change is in the way', ({ change, message }) => {
  expect(obstacles({ ...ready, ...change })).toEqual([expect.stringMatching(message)]);
});

test('packages come first, the image and the chart are signed by their digests, the files by their checksums, and the page comes last', () => {
  const artifacts = {
    version: '1.2.3',
    notes: 'RELEASE_NOTES.md',
    packages: ['a.tgz', 'b.tgz'],
    image: { archive: 'i.tar', digest: 'sha256:11', billOfMaterials: 'i.json' },
    chart: { archive: 'c.tar', digest: 'sha256:22' },
    files: ['a.tgz', 'SHA256SUMS'],
  };
  const steps = publishingSteps('/r', artifacts, ready.places);
  expect(steps.map(({ command, words }) => [command, ...words].join(' '))).toEqual([
    'npm publish /r/a.tgz --provenance --access public',
    'npm publish /r/b.tgz --provenance --access public',
    'skopeo copy --preserve-digests oci-archive:/r/i.tar docker://registry.example.com/sallyport:1.2.3',
    'cosign sign --yes registry.example.com/sallyport@sha256:11',
    'cosign attest --yes --type cyclonedx --predicate /r/i.json registry.example.com/sallyport@sha256:11',
    'skopeo copy --preserve-digests oci-archive:/r/c.tar docker://registry.example.com/charts/sallyport:1.2.3',
    'cosign sign --yes registry.example.com/charts/sallyport@sha256:22',
    'cosign sign-blob --yes --new-bundle-format --bundle /r/SHA256SUMS.sigstore.json /r/SHA256SUMS',
    'gh release create v1.2.3 --verify-tag --notes-file /r/RELEASE_NOTES.md /r/a.tgz /r/SHA256SUMS /r/SHA256SUMS.sigstore.json',
  ]);
});

/**
 * Makes a small release, a copy of the program alone, and commands that note how they are called in place of those that publish.
 *
 * @param npm the version that npm reports
 * @param tag the tag of the run
 * @returns starts the program, and reads the notes
 */
async function prepare(npm: string, tag = 'v1.2.3') {
  const folder = await temporaryFolder('publish');
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const at = (...names: readonly string[]) => join(folder.path, ...names);
  for (const name of ['bin', 'release', 'src/release', 'layout/package'])
    await mkdir(at(name), { recursive: true });
  for (const name of ['publish.ts', 'release/publish.ts'])
    await cp(join(rootFolder, 'deploy/src', name), at('src', name));
  await writeFile(at('src/package.json'), '{ "type": "module" }');

  for (const name of ['npm', 'skopeo', 'cosign', 'gh']) {
    const answers = `[ "$1" = --version ] && echo ${npm} && exit\n[ "$1" = view ] && . ${at('view')}`;
    const text = `#!/bin/sh\n${answers}\necho ${name} "$1" >> ${at('calls')}\n`;
    await writeFile(at('bin', name), text);
    await chmod(at('bin', name), 0o755);
  }

  await writeFile(at('view'), 'echo npm error code E404 >&2; exit 1');

  const tar = (name: string, entry: string, ...more: string[]) =>
    run('tar', ['--create', ...more, '--file', at('release', name), '-C', at('layout'), entry]);
  await writeFile(
    at('layout/index.json'),
    JSON.stringify({ manifests: [{ digest: 'sha256:11' }] }),
  );
  const archives = ['sallyport-1.2.3-linux-amd64.oci.tar', 'sallyport-1.2.3-chart.oci.tar'];
  for (const name of archives) await tar(name, 'index.json');
  const manifest = JSON.stringify({ name: '@x/a', version: '1.2.3' });
  await writeFile(at('layout/package/package.json'), manifest);
  await tar('a-1.2.3.tgz', 'package', '--gzip');
  const bills = ['sallyport-1.2.3-packages.cdx.json', 'sallyport-1.2.3-linux-amd64.cdx.json'];
  const files = ['sallyport-1.2.3.tgz', 'RELEASE_NOTES.md', ...bills];
  for (const name of files) await writeFile(at('release', name), name);
  const lines = [...archives, 'a-1.2.3.tgz', ...files].map(async (name) => {
    return `${hash('sha256', await readFile(at('release', name)))}  ${name}\n`;
  });
  await writeFile(at('release/SHA256SUMS'), (await Promise.all(lines)).join(''));

  const env = `PATH=${at('bin')}:${process.env.PATH}`;
  const places = ['RELEASE_IMAGE=registry.example.com/x', 'RELEASE_CHARTS=registry.example.com/y'];
  const words = [
    env,
    `GITHUB_REF_NAME=${tag}`,
    ...places,
    process.execPath,
    at('src/publish.ts'),
    at('release'),
  ];
  return { at, start: () => run('env', words), calls: () => readFile(at('calls'), 'utf8') };
}

const afterPackages = [
  'skopeo copy',
  'cosign sign',
  'cosign attest',
  'skopeo copy',
  'cosign sign',
  'cosign sign-blob',
  'gh release',
];

test.each(['11.5.1', '11.10.0'])(
  'a release is published by a program that needs no installed package, with npm %s',
  async (npm) => {
    const { start, calls } = await prepare(npm);
    const lines = (await start()).trim().split('\n');
    expect(lines[0]).toMatch(/^running: npm publish \S+a-1\.2\.3\.tgz --provenance/);
    expect([lines.length, lines.at(-1)]).toEqual([9, 'published 1.2.3']);
    expect((await calls()).trim().split('\n')).toEqual(['npm publish', ...afterPackages]);
  },
);

test('when it is run again, it leaves out the package that npm has', async () => {
  const { at, start, calls } = await prepare('11.5.1');
  const integrity = `sha512-${hash('sha512', await readFile(at('release/a-1.2.3.tgz')), 'base64')}`;
  await writeFile(at('view'), `[ "$3" = @x/a@1.2.3 ] && echo ${integrity}; exit`);
  expect(await start()).toMatch(/^done before: npm publish .*\nrunning: skopeo copy /);
  expect((await calls()).trim().split('\n')).toEqual(afterPackages);
});

test.each([
  { view: 'echo sha512-other; exit', message: 'npm has @x/a@1.2.3 with other content' },
  { view: 'echo npm error code E500 >&2; exit 1', message: 'E500' },
])('nothing more is published when npm answers `$view`', async ({ view, message }) => {
  const { at, start, calls } = await prepare('11.5.1');
  await writeFile(at('view'), view);
  await expect(start()).rejects.toThrow(message);
  await expect(calls()).rejects.toThrow('ENOENT');
});

test('nothing is published for another tag', async () => {
  const { start, calls } = await prepare('11.5.1', 'v1.2.4');
  await expect(start()).rejects.toThrow('the release is 1.2.3, and the tag of this run');
  await expect(calls()).rejects.toThrow('ENOENT');
});

test.each([
  {
    name: 'a line that is no checksum',
    change: (sums: string) => `${sums}0123  b.tgz\n`,
    message: 'names no file',
  },
  {
    name: 'no notes',
    change: (sums: string) => sums.replace(/.*RELEASE_NOTES\.md\n/, ''),
    message: 'RELEASE_NOTES',
  },
  {
    name: 'no bill of materials of the image',
    change: (sums: string) => sums.replace(/.*amd64\.cdx\.json\n/, ''),
    message: 'linux',
  },
])('nothing is published when SHA256SUMS has $name', async ({ change, message }) => {
  const { at, start, calls } = await prepare('11.5.1');
  await writeFile(
    at('release/SHA256SUMS'),
    change(await readFile(at('release/SHA256SUMS'), 'utf8')),
  );
  await expect(start()).rejects.toThrow(message);
  await expect(calls()).rejects.toThrow('ENOENT');
});

test('nothing is published when a file was changed after the build', async () => {
  const { at, start, calls } = await prepare('11.5.1');
  await writeFile(at('release/a-1.2.3.tgz'), 'other');
  await expect(start()).rejects.toThrow('a-1.2.3.tgz does not have its checksum in SHA256SUMS');
  await expect(calls()).rejects.toThrow('ENOENT');
});

test.each(['11.5.0', '10.9.8', '9.20.0'])(
  'nothing is published by npm %s, which needs a token',
  async (npm) => {
    const { start, calls } = await prepare(npm);
    await expect(start()).rejects.toThrow(`npm ${npm} can't publish without a token`);
    await expect(calls()).rejects.toThrow('ENOENT');
  },
);

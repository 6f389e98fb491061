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
  [{ packages: [{ name: 'a', version: '1.2.4', repository: 'x' }] }, /several versions: 1\.2\.4/],
  [{ packages: [{ name: 'a', version: '1.2.3' }] }, /no "repository".* in a$/],
  [{ changes: 0 }, /no CHANGELOG\.md has changes of 1\.2\.3/],
  [{ pending: 2 }, /2 changesets are in no version/],
  [{ isClean: false }, /not committed/],
  [{ tag: '' }, /has not the tag v1\.2\.3/],
  [{ places: { charts: 'x' } }, /RELEASE_IMAGE/],
  [{ places: { image: 'x' } }, /RELEASE_CHARTS/],
])('%j is in the way', (change, message) => {
  expect(obstacles({ ...ready, ...change })).toEqual([expect.stringMatching(message)]);
});

test('packages come first, the image and the chart are signed by their digests, the files by their checksums, and the page comes last', () => {
  const artifacts = {
    version: '1.2.3',
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
 * @returns starts the program, and reads the notes
 */
async function prepare(npm: string) {
  const folder = await temporaryFolder('publish');
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const at = (...names: readonly string[]) => join(folder.path, ...names);
  for (const name of ['bin', 'release', 'src/release', 'layout'])
    await mkdir(at(name), { recursive: true });
  for (const name of ['publish.ts', 'release/publish.ts'])
    await cp(join(rootFolder, 'deploy/src', name), at('src', name));
  await writeFile(at('src/package.json'), '{ "type": "module" }');

  for (const name of ['npm', 'skopeo', 'cosign', 'gh']) {
    const text = `#!/bin/sh\n[ "$1" = --version ] && echo ${npm} && exit\necho ${name} "$1" >> ${at('calls')}\n`;
    await writeFile(at('bin', name), text);
    await chmod(at('bin', name), 0o755);
  }

  await writeFile(
    at('layout/index.json'),
    JSON.stringify({ manifests: [{ digest: 'sha256:11' }] }),
  );
  const archives = ['sallyport-1.2.3-linux-amd64.oci.tar', 'sallyport-1.2.3-chart.oci.tar'];
  for (const name of archives)
    await run('tar', [
      '--create',
      '--file',
      at('release', name),
      '--directory',
      at('layout'),
      'index.json',
    ]);
  const files = ['a-1.2.3.tgz', 'sallyport-1.2.3.tgz', 'sallyport-1.2.3-packages.cdx.json'];
  for (const name of files) await writeFile(at('release', name), name);
  const lines = [...archives, ...files].map(async (name) => {
    return `${hash('sha256', await readFile(at('release', name)))}  ${name}\n`;
  });
  await writeFile(at('release/SHA256SUMS'), (await Promise.all(lines)).join(''));

  const env = `PATH=${at('bin')}:${process.env.PATH}`;
  const places = ['RELEASE_IMAGE=registry.example.com/x', 'RELEASE_CHARTS=registry.example.com/y'];
  const words = [env, ...places, process.execPath, at('src/publish.ts'), at('release')];
  return { at, start: () => run('env', words), calls: () => readFile(at('calls'), 'utf8') };
}

test('a release is published by a program that needs no installed package', async () => {
  const { start, calls } = await prepare('11.5.1');
  expect(await start()).toBe('published 1.2.3\n');
  expect((await calls()).trim().split('\n')).toEqual([
    'npm publish',
    'skopeo copy',
    'cosign sign',
    'cosign attest',
    'skopeo copy',
    'cosign sign',
    'cosign sign-blob',
    'gh release',
  ]);
});

test('nothing is published when a file was changed after the build', async () => {
  const { at, start, calls } = await prepare('11.5.1');
  await writeFile(at('release/a-1.2.3.tgz'), 'other');
  await expect(start()).rejects.toThrow('a-1.2.3.tgz does not have its checksum in SHA256SUMS');
  await expect(calls()).rejects.toThrow('ENOENT');
});

test.each(['11.5.0', '10.9.8'])(
  'nothing is published by npm %s, which needs a token',
  async (npm) => {
    const { start, calls } = await prepare(npm);
    await expect(start()).rejects.toThrow(`npm ${npm} can't publish without a token`);
    await expect(calls()).rejects.toThrow('ENOENT');
  },
);

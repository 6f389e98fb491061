import { expect, test } from 'vitest';
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

test('packages come first, the image and the chart are signed by their digests, and the page comes last', () => {
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
    'gh release create v1.2.3 --verify-tag --notes-file /r/RELEASE_NOTES.md /r/a.tgz /r/SHA256SUMS',
  ]);
});

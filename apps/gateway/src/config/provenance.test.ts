import { expect, test } from 'vitest';
import { folderWithProbe, yaml } from './testing/config-folder.ts';

test('provenance is left out, or a domain', async () => {
  await using folder = await folderWithProbe();
  const provenanceOf = async (more: string) => (await folder.load(yaml({ more }))).provenance;
  expect(await provenanceOf('')).toBeUndefined();
  const keyPrefix = 'sallyport.example.com';
  expect(await provenanceOf(`provenance: { keyPrefix: ${keyPrefix} }`)).toEqual({ keyPrefix });
});

test.each([
  ['provenance: {}', 'provenance.keyPrefix: is missing'],
  ['provenance: { keyPrefix: sallyport }', 'provenance.keyPrefix: must be a DNS domain of yours in lowercase'],
  ['provenance: { keyPrefix: Sallyport.example.com }', 'provenance.keyPrefix: must be a DNS domain'],
  ['provenance: { keyPrefix: sallyport.example.com/x }', 'provenance.keyPrefix: must be a DNS domain'],
  ['provenance: { keyPrefix: authentication.kubernetes.io }', 'provenance.keyPrefix: must not be in k8s.io'],
  ['provenance: { keyPrefix: k8s.io }', 'provenance.keyPrefix: must not be in k8s.io'],
])('%s is refused', async (more, expected) => {
  await using folder = await folderWithProbe();
  expect(await folder.problems(yaml({ more }))).toEqual([expect.stringContaining(expected)]);
});

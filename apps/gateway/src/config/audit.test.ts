import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderWithProbe, yaml } from './testing/config-folder.ts';

test('audit is left out, standard output, or a file from the folder of the config on', async () => {
  await using folder = await folderWithProbe();
  const auditOf = async (more: string) => (await folder.load(yaml({ more }))).audit;
  expect(await auditOf('')).toBeUndefined();
  expect(await auditOf('audit: { output: stdout }')).toEqual({ output: 'stdout' });
  expect(await auditOf('audit: { output: audit/audit.log }')).toEqual({
    output: { file: join(folder.path, 'audit/audit.log') },
  });
  expect(await auditOf('audit: { output: /var/log/audit.log }')).toEqual({ output: { file: '/var/log/audit.log' } });
});

test.each([
  ['audit: { output: stderr }', 'audit.output: must be stdout or a file: standard error is for the log'],
  ['audit: {}', 'audit.output: is missing'],
  ['audit: { output: "" }', 'audit.output: '],
  ['audit: { output: stdout, file: x }', 'audit.file: unknown key'],
])('%s is refused', async (more, expected) => {
  await using folder = await folderWithProbe();
  expect(await folder.problems(yaml({ more }))).toEqual([expect.stringContaining(expected)]);
});

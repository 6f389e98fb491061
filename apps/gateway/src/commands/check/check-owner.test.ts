import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { wholeDetail } from '../finding.ts';
import { checkOwner } from './check-owner.ts';

async function place(...files: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'owner-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'tls'));
  for (const name of ['gateway.yaml', ...files]) await writeFile(join(folder, name), '');
  const config = { file: join(folder, 'gateway.yaml'), baseDirectory: folder };
  const uid = process.getuid?.() ?? 0;
  const found = async (account: number | undefined, secret = false) => {
    const trusted = files.map((name) => ({ file: join(folder, name), secret }));
    const service =
      account === undefined ? undefined : { name: 'sallyport', uid: account, group: 'gateway' };
    const findings = await checkOwner(config, trusted, service);
    return findings.map(
      (finding) => `${finding.result}: ${wholeDetail(finding).replaceAll(folder, 'D')}`,
    );
  };
  return { found, uid };
}

const belongs = (paths: string) =>
  'warning: what decides who gets in belongs to sallyport, the account of the gateway: an attacker who takes over the ' +
  `gateway can change it: run, as root: chown root:gateway ${paths} && chmod g+rX ${paths}`;

test('files of the account of the gateway are warned of, with their folders', async () => {
  const { found, uid } = await place('tls/ca.crt');
  expect(await found(uid)).toEqual([belongs('D/gateway.yaml D/tls/ca.crt D D/tls')]);
  // A secret may be its own.
  expect(await found(uid, true)).toEqual([belongs('D/gateway.yaml D')]);
});

test('files of another account are not reported, nor is anything if no account of a service runs check', async () => {
  const { found, uid } = await place('tls/ca.crt');
  expect(await found(uid + 1)).toEqual([]);
  expect(await found(undefined)).toEqual([]);
});

test('the key of the CA is warned of if the account can read it', async () => {
  const { found, uid } = await place('tls/ca.key');
  expect(await found(uid + 1)).toEqual([
    expect.stringMatching(
      /^warning: D\/tls\/ca\.key can be read by sallyport, the account of the gateway: /,
    ),
  ]);
});

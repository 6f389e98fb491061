import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { createTestContext } from '../../testing/command-context.ts';
import { createAuthority, issueServer } from '../init/certificates.ts';
import { createFolder } from '../init/init.ts';
import { reissue } from './reissue.ts';

async function madeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-reissue-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await createFolder(createTestContext(), folder, ['gw.example.com']);
  return folder;
}

test('init issues what it has issued', async () => {
  const folder = await madeFolder();
  const pair = {
    certFile: join(folder, 'tls/server.crt'),
    keyFile: join(folder, 'tls/server.key'),
  };
  const place = { folder, certificate: 'tls/server.crt', option: '--host' };
  // `init` has no --config.
  const context = createTestContext({ config: join(folder, 'gateway.yaml') });
  const issue = () => reissue(context, pair, ['gw.example.com', '192.0.2.1'], place);
  const ofInit = `sallyport init ${folder} --renew --host gw.example.com --host 192.0.2.1`;
  expect(await issue()).toMatch(new RegExp(`^for a new certificate, run: .*${ofInit}$`));
  expect(
    await reissue(
      createTestContext(),
      { ...pair, certFile: join(folder, 'other.crt') },
      ['x'],
      place,
    ),
  ).toContain('give its CA');
  await rm(join(folder, 'tls/ca.key'));
  expect(await issue()).toContain(ofInit);
  await rm(join(folder, 'tls/ca.crt'));
  expect(await issue()).toContain('give its CA');
});

test('another CA gets a request for all of the hosts, which OpenSSL prints', async () => {
  const folder = await madeFolder();
  const { certificate, key } = await issueServer(
    await createAuthority(Date.now()),
    ['gw.example.com'],
    Date.now(),
  );
  const pair = {
    certFile: join(folder, 'tls/server.crt'),
    keyFile: join(folder, 'tls/server.key'),
  };
  await writeFile(pair.certFile, certificate);
  await writeFile(pair.keyFile, key);
  const text = await reissue(createTestContext(), pair, ['*.example.com', '192.0.2.1', '::1'], {
    folder,
    certificate: 'tls/server.crt',
    option: '--host',
  });
  const command = text.replace('for a new certificate, give its CA what this prints: ', '');
  const { stdout } = await promisify(execFile)('sh', [
    '-c',
    `${command} | openssl req -noout -verify -text`,
  ]);
  expect(stdout).toContain('DNS:*.example.com, IP Address:192.0.2.1, IP Address:0:0:0:0:0:0:0:1');
});

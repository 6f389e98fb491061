import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { temporaryFolder } from './testing/folder.ts';
import { startGateway } from './testing/gateway.ts';
import { rootFolder } from './testing/pnpm.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { randomToken } from './testing/tokens.ts';

const run = promisify(execFile);
const shipped = (name: string) => readFile(join(rootFolder, 'deploy/systemd', name), 'utf8');

test('systemd accepts the unit, and rates its exposure below 2', async () => {
  const folder = await temporaryFolder('systemd');
  const unit = await shipped('sallyport.service');
  // The gateway itself is not installed here.
  const file = join(folder, 'sallyport.service');
  await writeFile(file, unit.replace('ExecStart=sallyport', 'ExecStart=/bin/true'));
  const verified = await run('systemd-analyze', ['verify', '--man=no', file]);
  expect(verified.stdout + verified.stderr).toBe('');
  const { stdout } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', file]);
  const exposure = Number(/exposure level for sallyport\.service: ([\d.]+)/.exec(stdout)?.[1]);
  process.stdout.write(`exposure level of sallyport.service: ${exposure}\n`);
  expect(exposure).toBeLessThan(2);
});

test('the account is made, and files get the owner and mode that the gateway needs', async () => {
  const root = await temporaryFolder('tmpfiles');
  for (const name of ['etc/sallyport/tls', 'etc/sallyport/secrets', 'usr/lib']) {
    await mkdir(join(root, name), { recursive: true });
  }
  const names = ['tls/ca.key', 'tls/server.key', 'tokens.yaml', 'secrets/redis'];
  for (const name of names) await writeFile(join(root, 'etc/sallyport', name), '', { mode: 0o600 });
  const apply = (command: string, name: string, ...how: string[]) =>
    run(command, [`--root=${root}`, ...how, join(rootFolder, 'deploy/systemd', name)]);
  await apply('systemd-sysusers', 'sallyport.sysusers.conf');
  const account = /^sallyport:x:(\d+):(\d+):/m.exec(await readFile(join(root, 'etc/passwd'), 'utf8'));
  expect(account).not.toBeNull();
  await apply('systemd-tmpfiles', 'sallyport.tmpfiles.conf', '--create');
  const all = names.map((name) => join(root, 'etc/sallyport', name));
  const { stdout } = await run('stat', ['-c', '%a %u %g', ...all, join(root, 'etc/sallyport/secrets')]);
  const group = account?.[2];
  const forGroup = `640 0 ${group}`;
  expect(stdout.trim().split('\n')).toEqual(['600 0 0', forGroup, forGroup, forGroup, `750 0 ${group}`]);
});

test("logrotate rotates a running gateway's audit trail without losing a line", async () => {
  const token = randomToken();
  await using gateway = await startGateway({
    files: { 'tokens.yaml': tokensFile({ [token]: 'ci' }) },
    config: { authenticators: [staticAuthenticator], audit: { output: 'audit.log' } },
  });
  const { folder, pid } = gateway;
  // In place of systemctl, since no systemd runs here.
  const config = (await shipped('sallyport.logrotate'))
    .replace('/var/log/sallyport', folder)
    .replace(/systemctl kill .*$/m, `kill -HUP ${pid}`);
  await writeFile(join(folder, 'logrotate.conf'), config, { mode: 0o600 });
  const rotate = () => run('logrotate', ['--force', '--state', join(folder, 'state'), join(folder, 'logrotate.conf')]);
  using client = http1Client(gateway.url);
  let reviews = 0;
  let isRotating = true;
  const ask = async () => {
    for (; isRotating; reviews++) await review(client, token);
  };
  const asked = Promise.all(Array.from({ length: 16 }, ask));
  for (let turn = 0; turn < 2; turn++) {
    const seen = gateway.output.lines.length;
    const { ino } = await stat(join(folder, 'audit.log'));
    await rotate();
    await gateway.waitForLog('audit trail reopened', seen);
    // It is moved. A line that is written between a copy and the end of the original would be lost.
    expect((await stat(join(folder, 'audit.log.1'))).ino).toBe(ino);
  }
  isRotating = false;
  await asked;
  await gateway.stop();

  const files = (await readdir(folder)).filter((name) => name.startsWith('audit.log')).sort();
  expect(files).toEqual(['audit.log', 'audit.log.1', 'audit.log.2.gz']);
  const read = async (name: string) => (await run('zcat', ['-f', name], { cwd: folder })).stdout;
  const texts = await Promise.all(files.toReversed().map(read));
  const lines = texts.flatMap((text) => text.match(/^.+$/gm) ?? []);
  expect(lines.length).toBeGreaterThan(0);
  const sequences = lines.map((line) => Number(JSON.parse(line).sequence));
  expect(sequences).toEqual(Array.from({ length: reviews }, (_, index) => index + 1));
});

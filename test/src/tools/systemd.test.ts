import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { startRedis } from '@sallyport/test-servers/redis';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { http1Client, review } from '../testing/clients.ts';
import { runCommand } from '../testing/command.ts';
import { documentedSecrets } from '../testing/documented-secrets.ts';
import { temporaryFolder } from '../testing/folder.ts';
import { startGateway } from '../testing/gateway.ts';
import { rootFolder } from '../testing/pnpm.ts';
import { installUnit } from './unit.ts';

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
  const { stdout } = await run('systemd-analyze', [
    'security',
    '--offline=true',
    '--no-pager',
    file,
  ]);
  const exposure = Number(/exposure level for sallyport\.service: ([\d.]+)/.exec(stdout)?.[1]);
  process.stdout.write(`exposure level of sallyport.service: ${exposure}\n`);
  expect(exposure).toBeLessThan(2);
});

test('the account is made, and can read each secret that the documents name, but no key of a CA', async () => {
  const names = [...documentedSecrets, 'tokens.yaml'];
  const { folder, gid } = await installUnit(
    Object.fromEntries(['tls/ca.key', ...names].map((name) => [name, ''])),
  );
  const state = async (name: string) => {
    const { mode, uid, gid: group } = await stat(join(folder, name));
    return `${name} ${(mode & 0o7777).toString(8)} ${uid}:${group}`;
  };
  expect(await Promise.all(names.map(state))).toEqual(names.map((name) => `${name} 640 0:${gid}`));
  expect([await state('tls/ca.key'), await state('secrets')]).toEqual([
    'tls/ca.key 600 0:0',
    `secrets 750 0:${gid}`,
  ]);
});

/** A config whose files are all those that the account must read. No directory answers at its address. @param url of a Redis */
const configOf = (url: string) => ({
  server: {
    listen: '127.0.0.1:0',
    tls: { certFile: 'tls/a.crt', keyFile: 'tls/server.key', clientAuth: 'none' },
  },
  admin: { listen: '127.0.0.1:0' },
  audit: { output: '/var/log/sallyport/audit.log' },
  authenticators: [
    staticAuthenticator,
    {
      name: 'sessions',
      use: 'redis',
      options: {
        url,
        caFile: 'tls/redis-ca.crt',
        certFile: 'tls/a.crt',
        keyFile: 'tls/b-client.key',
      },
    },
    {
      name: 'corp',
      use: 'ldap',
      options: {
        urls: ['ldaps://127.0.0.1:1'],
        bind: { dn: 'cn=a,dc=b', password: { file: 'secrets/ldap-password' } },
        user: { base: 'dc=b', filter: '(uid={username})' },
      },
    },
  ],
  login: {
    listen: '127.0.0.1:0',
    publicUrl: 'https://127.0.0.1',
    tls: { certFile: 'tls/a.crt', keyFile: 'tls/login.key' },
    authenticators: ['corp'],
    sessions: 'sessions',
    clusters: { prod: { audience: 'https://prod', server: 'https://prod' } },
  },
});

test('what the account may not read, write or listen on is reported with how to fix it', async () => {
  await using redis = await startRedis();
  const { certificate, key } = await (await createAuthority('unit')).issueServer();
  const keys = ['tls/server.key', 'tls/login.key', 'tls/b-client.key'];
  const files = {
    'gateway.yaml': stringify(configOf(redis.tlsUrl)),
    'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }),
    'secrets/ldap-password': randomToken(),
    'tls/a.crt': certificate,
    'tls/redis-ca.crt': await readFile(redis.caFile, 'utf8'),
    ...Object.fromEntries(keys.map((name) => [name, key])),
  };
  const { folder, logs, uid, gid, through } = await installUnit(files);
  // The files are as root made them, without systemd-tmpfiles.
  for (const name of [...Object.keys(files), 'tls', 'secrets']) {
    await chown(join(folder, name), 0, 0);
    await chmod(join(folder, name), name.includes('.') || name.includes('/') ? 0o600 : 0o700);
  }
  await writeFile(join(logs, 'audit.log'), '', { mode: 0o600 });
  const check = async (...network: string[]) => {
    const words = ['check', '--config', '/etc/sallyport/gateway.yaml', '-o', 'json'];
    const setup = { cwd: logs, through: [...network, ...through()] };
    const { stdout, stderr } = await runCommand(words, setup);
    // The account could not even start the command.
    if (stdout === '') throw new Error(stderr);
    return (JSON.parse(stdout) as { findings: { check: string; result: string; detail: string }[] })
      .findings;
  };
  const detailsWith = async (words: string) =>
    (await check()).map(({ detail }) => detail).filter((detail) => detail.includes(words));
  const denials = () => detailsWith('permission denied');
  const fixed: string[] = [];
  for (let found = await denials(); found.length > 0; found = await denials()) {
    const commands = found.map(
      (one) => /: run, as root: (chgrp sallyport \S+ && chmod \S+ \S+)$/.exec(one)?.[1] ?? '',
    );
    // A command that did not help would be there again.
    expect([found, commands.filter((one) => one === '' || fixed.includes(one))]).toEqual([
      found,
      [],
    ]);
    for (const command of new Set(commands)) {
      const here = command
        .replaceAll('/etc/sallyport', folder)
        .replaceAll('/var/log/sallyport', logs);
      await run('sh', ['-c', here.replace('chgrp sallyport', `chgrp ${gid}`)]);
      fixed.push(command);
    }
  }
  const paths = fixed.map((command) => command.split(' ').at(-1)?.replace('/etc/sallyport/', ''));
  expect(paths.sort()).toEqual(
    ['/var/log/sallyport/audit.log', ...Object.keys(files), 'secrets', 'tls'].sort(),
  );
  const elsewhere = { ...configOf(redis.tlsUrl), audit: { output: '/srv/audit.log' } };
  await writeFile(join(folder, 'gateway.yaml'), stringify(elsewhere));
  expect(await denials()).toEqual([
    "/etc/sallyport/gateway.yaml:10:11: audit.output: can't open /srv/audit.log: permission denied for the user that runs the gateway: name a file in a folder that " +
      'this user can write to. To make one, run as root: install -d -o sallyport -g sallyport -m 750 /var/log/sallyport',
  ]);

  const listenOn = async (listen: string, ...network: string[]) => {
    const { server, ...others } = configOf(redis.tlsUrl);
    await writeFile(
      join(folder, 'gateway.yaml'),
      stringify({ ...others, server: { ...server, listen } }),
    );
    return (await check(...network)).filter((one) => one.check === 'server.listen');
  };
  // In a network of its own, ports below 1024 are for root, and nothing listens.
  expect(await listenOn('0.0.0.0:443', 'unshare', '--net')).toEqual([
    expect.objectContaining({
      result: 'error',
      detail: expect.stringMatching(
        /^\/etc\/sallyport\/gateway\.yaml:43:11: server\.listen: can't listen on 0\.0\.0\.0:443: .* port above 1023, or lower/,
      ),
    }),
  ]);
  await using other = createServer().listen({ host: '127.0.0.77', port: 1023 });
  await once(other, 'listening');
  expect(await listenOn('127.0.0.77:1023')).toEqual([
    expect.objectContaining({ result: 'warning' }),
  ]);

  await writeFile(join(folder, 'gateway.yaml'), stringify(configOf(redis.tlsUrl)));
  expect(await detailsWith('account of the gateway')).toEqual([]);
  await writeFile(join(folder, 'tls/ca.key'), key, { mode: 0o640 });
  for (const name of ['gateway.yaml', 'secrets/ldap-password', 'tls/ca.key'])
    await chown(join(folder, name), uid, gid);
  expect(await detailsWith('account of the gateway')).toEqual([
    expect.stringMatching(
      /^what decides .* chown root:sallyport \/etc\/sallyport\/gateway\.yaml && chmod g\+rX \/etc\/sallyport\/gateway\.yaml$/,
    ),
    expect.stringMatching(/^\/etc\/sallyport\/tls\/ca\.key can be read by sallyport, /),
  ]);
});

test("logrotate rotates a running gateway's audit trail without losing a line", async () => {
  const token = randomToken();
  await using gateway = await startGateway({
    files: { 'tokens.yaml': tokensFile({ [token]: 'ci' }) },
    config: { authenticators: [staticAuthenticator], audit: { output: 'audit.log' } },
  });
  const { folder, pid } = gateway;
  // This replaces systemctl, since no systemd runs here.
  const config = (await shipped('sallyport.logrotate'))
    .replace('/var/log/sallyport', folder)
    .replace(/systemctl kill .*$/m, `kill -HUP ${pid}`);
  await writeFile(join(folder, 'logrotate.conf'), config, { mode: 0o600 });
  const rotate = () =>
    run('logrotate', ['--force', '--state', join(folder, 'state'), join(folder, 'logrotate.conf')]);
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

import { X509Certificate } from 'node:crypto';
import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { commandsIn } from './testing/documents.ts';
import { createPageShell, type PageShell } from './testing/page-shell.ts';
import { rootFolder } from './testing/pnpm.ts';

/** Replaces the ports that all such configs have by free ones. */
async function moveToFreePorts({ root }: PageShell, config: string): Promise<void> {
  const text = await readFile(join(root, config), 'utf8');
  await writeFile(
    join(root, config),
    text.replaceAll(/(?:0\.0\.0\.0|127\.0\.0\.1):8\d{3}/g, '127.0.0.1:0'),
  );
}

test('the commands from nothing to a first review, a user, a renewal and another CA', async () => {
  const shell = await createPageShell(rootFolder);
  const read = (name: string) => readFile(join(shell.root, name), 'utf8');
  const guide = 'docs/install/README.md';
  const [init = ''] = (await commandsIn(guide, 'sallyport init')).split('\n');
  const printed = await shell.run(init);
  secret(/"token":"([^"]+)"/.exec(printed)?.[1] ?? '');
  await moveToFreePorts(shell, 'etc/sallyport/gateway.yaml');
  expect(await shell.run(await commandsIn(guide, 'sallyport check'))).toMatch(
    /^config +ok (?:.*\n)+\n0 errors, 0 warnings$/m,
  );
  const [hash, explain] = [
    await commandsIn(guide, 'sallyport token hash'),
    await commandsIn(guide, 'sallyport explain'),
  ];
  const made = await shell.run(hash);
  const token = secret(/^The token, shown only once: (\S+)$/m.exec(made)?.[1] ?? '');
  expect(await shell.run(explain, `${token}\n`)).toMatch(/jane/);

  await using gateway = shell.start(await commandsIn(guide, 'sallyport serve'));
  const url = new URL(await gateway.waitFor(/"url":"([^"]+)".*"msg":"listening"/));
  const [, review = ''] = /^ +(printf .*curl.*)$/m.exec(printed) ?? [];
  expect(await shell.run(review.replace(':8443/', `:${url.port}/`))).toContain(
    '"authenticated":true',
  );
  const inline = await shell.run(
    await commandsIn('docs/install/kube-apiserver.md', 'kubectl --kubeconfig /etc/sallyport'),
  );
  expect(inline).toContain('client-key-data: ');

  const page = 'docs/install/certificates.md';
  const before = await read('etc/sallyport/tls/server.crt');
  await shell.run(await commandsIn(page, 'sallyport init /etc/sallyport --renew'));
  await gateway.waitFor(/"msg":"(certificates reloaded)"/);
  expect(await read('etc/sallyport/tls/server.crt')).not.toBe(before);

  // The steps of a change of the CA: both CAs, then the new leaves with the new key, which a renewal then takes.
  await shell.run('sallyport init /root/new --host 127.0.0.1');
  await shell.run(await commandsIn(page, 'cat /root/new/tls/ca.crt'));
  const folder = (name: string) => join(shell.root, name);
  for (const name of ['server.crt', 'server.key', 'ca.key']) {
    await copyFile(folder(`root/new/tls/${name}`), folder(`etc/sallyport/tls/${name}`));
  }
  await shell.run(await commandsIn(page, 'sallyport init /etc/sallyport --renew'));
  const renewed = new X509Certificate(await read('etc/sallyport/tls/server.crt'));
  expect(renewed.verify(new X509Certificate(await read('root/new/tls/ca.crt')).publicKey)).toBe(
    true,
  );
  await shell.run(await commandsIn(page, 'cp /etc/sallyport/tls/ca.key'));
  await expect(read('etc/sallyport/tls/ca.key')).rejects.toThrow('ENOENT');
  expect(await read('media/offline/ca.key')).toBe(await read('root/new/tls/ca.key'));
});

test('each init of a page makes a folder that check accepts', async () => {
  const shell = await createPageShell(rootFolder);
  const ways = (await commandsIn('docs/install/README.md', 'sallyport init')).split('\n');
  for (const [index, line] of ways.entries()) {
    const folder = `/etc/way-${index}`;
    await shell.run(line.replace('/etc/sallyport', folder));
    expect(await shell.run(`sallyport check --config ${folder}/gateway.yaml`)).toMatch(
      /^config +ok /m,
    );
  }
});

test('the commands of the systemd page give the service what it needs, and nothing more', async () => {
  const { root, run } = await createPageShell(rootFolder);
  for (const folder of ['etc/systemd/system', 'usr/lib'])
    await mkdir(join(root, folder), { recursive: true });
  const lines = (await commandsIn('docs/install/systemd.md', 'install -D')).split('\n');
  expect(lines.at(-1)).toBe('systemctl enable --now sallyport');
  // No systemd runs here, and the account is one of the system below this folder, so no command can be run by it.
  const commands = lines
    .slice(0, -1)
    .map((line) =>
      line.replace(/^systemd-\w+/, `$& --root=${root}`).replace('runuser -u sallyport -- ', ''),
    );
  await run(commands.join('\n'));
  const account = /^sallyport:x:\d+:(\d+):/m.exec(await readFile(join(root, 'etc/passwd'), 'utf8'));
  const rights = async (name: string) => {
    const { mode, uid, gid } = await stat(join(root, 'etc/sallyport', name));
    return [(mode & 0o777).toString(8), uid, gid];
  };
  expect(await rights('tls/server.key')).toEqual(['640', 0, Number(account?.[1])]);
  expect(await rights('tls/ca.key')).toEqual(['600', 0, 0]);
});

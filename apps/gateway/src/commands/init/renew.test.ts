import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestContext, type TestContext } from '../../testing/command-context.ts';
import { createAuthority, issueServer } from './certificates.ts';
import { listHosts } from './hosts.ts';
import { createFolder } from './init.ts';
import { renewCertificates } from './renew.ts';

const day = 86_400_000;
const now = Date.parse('2030-01-31T12:00:00Z');

let folder: string;
let context: TestContext;
beforeEach(async () => {
  context = createTestContext({ now: () => now });
  folder = await mkdtemp(join(tmpdir(), 'sallyport-init-'));
  await createFolder(context, folder, ['gw.example.com', '::1']);
});
afterEach(() => rm(folder, { recursive: true }));

const read = (name: string) => readFile(join(folder, name), 'utf8');
const write = (name: string, text: string) => writeFile(join(folder, name), text);
const renew = (hosts: readonly string[] = [], at = now + 200 * day) =>
  renewCertificates({ ...context, now: () => at }, folder, hosts);
const server = async () => new X509Certificate(await read('tls/server.crt'));

async function contents(): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(
      files.sort().map(async (file) => [file, await readFile(file, 'utf8')] as const),
    ),
  );
}

/** Expects an error, and that no file is another one after it. */
async function expectRefusal(renewal: () => Promise<string>, message: RegExp): Promise<void> {
  const before = await contents();
  await expect(renewal()).rejects.toThrow(message);
  expect(await contents()).toEqual(before);
}

test('makes new leaves and keys for the same names, and changes nothing else', async () => {
  const before = await contents();
  const report = await renew();
  const after = await contents();
  const changed = [...after]
    .filter(([file, text]) => before.get(file) !== text)
    .map(([file]) => file);
  const names = [
    'kube-apiserver/client.crt',
    'kube-apiserver/client.key',
    'tls/server.crt',
    'tls/server.key',
  ];
  expect(changed).toEqual(names.map((name) => join(folder, name)));
  expect([...after.keys()]).toEqual([...before.keys()]);
  expect(listHosts(await server())).toEqual(['gw.example.com', '::1']);
  expect(report).toMatch(/tls\/server\.crt {3}until 2031-08-19, for gw\.example\.com, ::1\n/);
});

test('a key that others may read keeps its mode, with a warning that says how to change it', async () => {
  await renew();
  expect(context.printed.stderr).toBe('');
  const modes = {
    'tls/server.key': 0o644,
    'kube-apiserver/client.key': 0o604,
    'tls/ca.key': 0o644,
  };
  for (const [name, mode] of Object.entries(modes)) await chmod(join(folder, name), mode);
  await renew();
  const warnings = context.printed.stderr.split(/^(?=sallyport: )/m);
  expect(warnings).toHaveLength(3);
  for (const [name, mode] of Object.entries(modes)) {
    const file = join(folder, name);
    const warning = warnings.find((text) => text.startsWith(`sallyport: ${file}: `));
    expect(warning).toMatch(
      /everyone on this machine can read the secret in it \(mode 0\d+\)\n {2}fix: run chmod \S*o-r/,
    );
    expect((await stat(file)).mode & 0o777).toBe(mode);
  }
});

test('other names are reported', async () => {
  expect(await renew(['gw.example.com', '192.0.2.1'])).toMatch(
    /for gw\.example\.com, 192\.0\.2\.1; new: 192\.0\.2\.1; no longer: ::1\n/,
  );
  expect(listHosts(await server())).toEqual(['gw.example.com', '192.0.2.1']);
});

test('the name that the kubeconfig calls must stay', async () => {
  await expectRefusal(
    () => renew(['other.example.com']),
    /webhook\.kubeconfig calls the gateway by gw\.example\.com/,
  );
  const kubeconfig = await read('kube-apiserver/webhook.kubeconfig');
  await write(
    'kube-apiserver/webhook.kubeconfig',
    kubeconfig.replace(
      'certificate-authority',
      'tls-server-name: gw2\n      certificate-authority',
    ),
  );
  await expectRefusal(() => renew(['gw.example.com']), /by gw2, and/);
  await write(
    'kube-apiserver/webhook.kubeconfig',
    kubeconfig.replace('gw.example.com:8443', '"[::1]:8443"'),
  );
  await renew(['::1']);
  await write('kube-apiserver/webhook.kubeconfig', 'not a kubeconfig');
  await renew(['gw3']);
});

test.each(['tls/ca.crt', 'tls/ca.key'])('without %s nothing is renewed', async (name) => {
  await rm(join(folder, name));
  const message =
    /nothing was renewed: .*ca\.\w+ can't be read: there is no such file: put tls\/ca\.crt and tls\/ca\.key of init there, or name their folder: sallyport init \/etc\/sallyport --renew\. /;
  await expectRefusal(() => renew(), message);
});

test('a CA file that is none is refused without a word of it', async () => {
  await write('tls/ca.key', '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n');
  await expectRefusal(
    () => renew(),
    /ca\.crt with .*ca\.key: this is not a PEM certificate with its key: put tls\/ca\.crt/,
  );
  await write('tls/ca.key', (await createAuthority(now)).key);
  await expectRefusal(() => renew(), /the key does not belong to the certificate/);
});

test('of two CAs in the file, the one whose key is there renews what it issued', async () => {
  const next = await createAuthority(now);
  const old = {
    authority: await read('tls/ca.crt'),
    key: await read('tls/ca.key'),
    server: await read('tls/server.crt'),
  };
  // As in a change of the CA, before the leaves are replaced: the new one is the second.
  await write('tls/ca.crt', old.authority + next.certificate);
  await renew();
  expect((await server()).verify(new X509Certificate(old.authority).publicKey)).toBe(true);
  // And after that, before the old one is removed.
  await write('tls/ca.key', next.key);
  await expectRefusal(
    () => renew(),
    /server\.crt is not from the CA in .* that .*ca\.key belongs to: put the key/,
  );
  await write('tls/server.crt', (await issueServer(next, ['gw.example.com'], now)).certificate);
  await renew();
  expect((await server()).verify(new X509Certificate(next.certificate).publicKey)).toBe(true);
  await write('tls/ca.key', (await createAuthority(now)).key);
  await expectRefusal(() => renew(), /the key does not belong to one of the certificates/);
});

test('a CA that has ended issues nothing', async () => {
  await expectRefusal(
    () => renew([], now + 3650 * day),
    /the CA expires at 2040-01-29T12:00:00\.000Z: put tls\/ca\.crt .* If they are lost or have expired, make a new CA/,
  );
});

test('a server certificate of another CA is not replaced', async () => {
  const other = await createAuthority(now);
  await write('tls/server.crt', (await issueServer(other, ['gw.example.com'], now)).certificate);
  await expectRefusal(
    () => renew(['gw.example.com']),
    /server\.crt is not from the CA in .*ca\.crt/,
  );
  await write('tls/server.crt', 'no PEM');
  await expectRefusal(() => renew(), /is not from the CA/);
});

test('a server certificate that is not there needs its names again', async () => {
  await rm(join(folder, 'tls/server.crt'));
  await expectRefusal(
    () => renew(),
    /server\.crt does not exist, so the names for a new one are not known: add --host/,
  );
  await renew(['gw.example.com']);
  expect(listHosts(await server())).toEqual(['gw.example.com']);
});

test('an existing file keeps all files from being written', async () => {
  const before = await contents();
  const command =
    /already has gateway\.yaml, tokens\.yaml, .*, and init overwrites no file: .*, run: .*init .* --renew\./;
  await expect(createFolder(context, folder, ['gw'])).rejects.toThrow(command);
  expect(await contents()).toEqual(before);
  const other = join(folder, 'other');
  await rm(join(folder, 'tls'), { recursive: true });
  await createFolder(context, other, ['gw']);
  for (const name of ['tls', 'kube-apiserver', 'gateway.yaml'])
    await rm(join(other, name), { recursive: true });
  await expect(createFolder(context, other, ['gw'])).rejects.toThrow(
    /other already has tokens\.yaml/,
  );
  expect(await readdir(other)).toEqual(['tokens.yaml']);
});

import { execFile } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../config/load.ts';
import { createTestContext, type TestContext } from '../../testing/command-context.ts';
import { createAuthority, issueServer } from './certificates.ts';
import { listHosts } from './hosts.ts';
import { createFolder } from './init.ts';
import { newLoginHost, readParts } from './options.ts';
import { aclLine } from './redis.ts';
import { renewCertificates } from './renew.ts';

const now = Date.parse('2030-01-31T12:00:00Z');
const hosts = ['gw.example.com', '192.0.2.1'];
const redis = 'rediss://redis.example.com:6380';

let folder: string;
let context: TestContext;
beforeEach(async () => {
  context = createTestContext({ now: () => now });
  folder = await mkdtemp(join(tmpdir(), 'sallyport-init-'));
});
afterEach(() => rm(folder, { recursive: true }));

const read = (name: string) => readFile(join(folder, name), 'utf8');
const modeOf = async (name: string) => ((await stat(join(folder, name))).mode & 0o777).toString(8);

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

const create = async (options: Parameters<typeof readParts>[2], at = hosts) =>
  createFolder(context, folder, at, await readParts(context, at, options));

/** Puts the printed sections where the text says. */
async function addPrinted(printed: string): Promise<void> {
  const [, entries = ''] =
    /Add to the end of authenticators in [^\n]*:\n\n(.*?)\n\n?Add to the end/s.exec(printed) ?? [];
  const [, sections = ''] =
    /Add to the end of [^\n ]*gateway\.yaml:\n\n(.*?)\n\n?Then run/s.exec(printed) ?? [];
  await writeFile(
    join(folder, 'gateway.yaml'),
    `${await read('gateway.yaml')}${entries}\n${sections}\n`,
  );
}

test('secrets are new, for their owner alone, and in nothing that is printed; files are listed', async () => {
  await writeFile(`${folder}.ca`, (await createAuthority(now)).certificate);
  onTestFinished(() => rm(`${folder}.ca`));
  const printed = await create({ redis, redisCa: `${folder}.ca`, login: true });
  expect(printed).toContain('\n  tls/redis-ca.crt  the CA of Redis, from --redis-ca\n');
  const secrets = [
    'secrets/redis-password',
    'secrets/sealing-key',
    'tls/login.key',
    'secrets/ldap-password',
  ];
  expect(await Promise.all(secrets.map(modeOf))).toEqual(secrets.map(() => '600'));
  for (const name of secrets.slice(0, 3)) expect(printed).not.toContain((await read(name)).trim());
  expect(Buffer.from(await read('secrets/sealing-key'), 'base64')).toHaveLength(32);
  expect(listHosts(new X509Certificate(await read('tls/login.crt')))).toEqual(['gw.example.com']);
  expect(printed).toContain(
    "tls/login.crt     the login server's, until 2031-01-31, for gw.example.com\n",
  );
});

test.each([
  { name: 'both', options: { redis, login: 'login.example.com' } },
  { name: 'a Redis alone', options: { redis } },
])(
  'the config with $name loads, once the password that only the operator knows is there',
  async ({ options }) => {
    await create(options);
    if ('login' in options) {
      const place =
        /\/gateway\.yaml:\d+:\d+: authenticators\[3\]\.options\.bind\.password: authenticator corp: the file /;
      await expect(loadConfig(join(folder, 'gateway.yaml'), {})).rejects.toThrow(place);
      await writeFile(join(folder, 'secrets/ldap-password'), 'a password\n');
    }
    const { authenticators, cache, login } = await loadConfig(join(folder, 'gateway.yaml'), {});
    const names = ['tokens', 'robots', ...('login' in options ? ['sessions', 'corp'] : [])];
    expect(authenticators.map(({ name }) => name)).toEqual(names);
    expect(cache.redis).toBeDefined();
    expect(login?.publicUrl).toBe(
      'login' in options ? 'https://login.example.com:8444' : undefined,
    );
  },
);

test('a folder that has a gateway.yaml stays as it is, and what to add is printed', async () => {
  await writeFile(`${folder}.ca`, (await createAuthority(now)).certificate);
  onTestFinished(() => rm(`${folder}.ca`));
  const options = { redis, redisCa: `${folder}.ca`, login: 'login.example.com' };
  await create(options);
  const whole = parse(await read('gateway.yaml'));
  const names = [...(await contents()).keys()];
  await rm(folder, { recursive: true });

  await create({});
  const before = await contents();
  const printed = await create(options, []);
  expect(await contents()).toEqual(before);
  expect(printed).toMatch(/^Nothing was written: .*gateway\.yaml exists\./);
  await addPrinted(printed);
  expect(parse(await read('gateway.yaml'))).toEqual(whole);

  const commands = [...printed.matchAll(/^ {2}((?:mkdir|\(|printf) ?.*)$/gm)].map(
    ([, line]) => line,
  );
  expect(commands).toHaveLength(6);
  const run = promisify(execFile);
  const { stdout } = await run('sh', ['-ec', commands.join('\n')]);
  const password = (await read('secrets/redis-password')).trim();
  const digest = createHash('sha256').update(password).digest('hex');
  expect(stdout).toBe(`${aclLine(password)}\n`);
  expect(stdout).toContain(digest);
  const [setUser = ''] = /(?<=^ {2}redis-cli ).*/m.exec(printed) ?? [];
  const shown = await run('sh', ['-ec', `echo ${setUser}`]);
  const user = aclLine(password).replace('user ', 'ACL SETUSER ');
  expect(shown.stdout).toBe(`-u ${redis} --cacert ${folder}.ca ${user}\n`);
  const secrets = ['redis-password', 'sealing-key', 'ldap-password'].map(
    (name) => `secrets/${name}`,
  );
  expect(await Promise.all(secrets.map(modeOf))).toEqual(['600', '600', '600']);
  expect(Buffer.from(await read('secrets/sealing-key'), 'base64')).toHaveLength(32);
  expect(printed).toContain(`  sallyport init ${folder} --renew --login login.example.com\n`);
  await renewCertificates(context, folder, [], 'login.example.com');
  expect([...(await contents()).keys()]).toEqual(names);
});

test('no printed command overwrites a file', async () => {
  await create({ redis });
  const before = await contents();
  const printed = await create({ redis, login: 'login.example.com' });
  const commands = [...printed.matchAll(/^ {2}(\(.*)$/gm)].map(([, line]) => line);
  expect(commands).toHaveLength(3);
  const run = promisify(execFile);
  await run('sh', ['-c', `${commands.join('\n')}\ntrue`]);
  for (const [file, text] of before) expect(await readFile(file, 'utf8')).toBe(text);
});

test('files of the parts that exist without a gateway.yaml are not overwritten', async () => {
  await mkdir(join(folder, 'secrets'));
  await writeFile(join(folder, 'secrets/sealing-key'), 'mine');
  await expect(create({ redis })).rejects.toThrow(
    /^nothing was written: .* already has secrets\/sealing-key, and init overwrites no file/,
  );
  expect([...(await contents()).values()]).toEqual(['mine']);
});

test.each([undefined, 'https://kubernetes.default.svc', 'https://[2001:db8::1]:6443'])(
  'sessions are for the issuer %s, which the API server asks for, and the flags are enough',
  async (serviceAccountIssuer) => {
    const audience = serviceAccountIssuer ?? 'https://kubernetes.default.svc.cluster.local';
    const options = { redis, login: true, ...(serviceAccountIssuer && { serviceAccountIssuer }) };
    const printed = await create(options as Parameters<typeof create>[0]);
    const { server, login } = parse(await read('gateway.yaml'));
    expect([server.apiAudiences, login.clusters.prod.audience]).toEqual([[audience], audience]);
    const flags = [...printed.matchAll(/^ {2}--([a-z-]+)=/gm)].map(([, flag]) => flag);
    const webhook = ['config-file', 'version', 'cache-ttl'];
    expect(flags).toEqual(webhook.map((name) => `authentication-token-webhook-${name}`));
    expect(printed).toContain(`Sessions are for the audience ${audience}. `);
  },
);

test.each(['', 'a b', 'a,b', 'x'.repeat(257)])('%j is not an issuer', async (text) => {
  await expect(create({ serviceAccountIssuer: text })).rejects.toThrow(
    /^--service-account-issuer: .* is not the issuer of one API server: write its first/,
  );
});

test.each([
  { at: ['127.0.0.1'], listen: '127.0.0.1:8443' },
  { at: ['localhost', '127.0.0.1'], listen: '127.0.0.1:8443' },
  { at: ['localhost', '127.0.0.2'], listen: '0.0.0.0:8443' },
  { at: ['::1'], listen: '[::1]:8443' },
  { at: ['127.0.0.1', '192.0.2.1'], listen: '0.0.0.0:8443' },
  { at: ['192.0.2.1', '2001:db8::1'], listen: ':8443' },
])('a gateway that kube-apiserver calls by $at listens on $listen', async ({ at, listen }) => {
  await create({ redis, login: 'login.example.com' }, at);
  const { server, login } = parse(await read('gateway.yaml'));
  expect([server.listen, login.listen]).toEqual([
    listen,
    at.some((host) => host.includes(':')) ? ':8444' : '0.0.0.0:8444',
  ]);
});

test.each([
  { name: 'sallyport.auth.svc', count: 1 },
  { name: 'sallyport.auth.svc.cluster.local', count: 1 },
  { name: 'sallyport.svc.example.com', count: 0 },
])(
  'the name $name has $count remarks where kube-apiserver would call it',
  async ({ name, count }) => {
    await create({}, [name, 'gw.example.com']);
    const remarks = context.printed.stderr.match(
      new RegExp(
        `${name} is the name of a Service, and .* not ask the cluster's DNS\n {2}fix: .*first --host`,
        'g',
      ),
    );
    expect(remarks ?? []).toHaveLength(count);
    const { stderr } = context.printed;
    await rm(folder, { recursive: true });
    await create({}, ['gw.example.com', name]);
    expect(context.printed.stderr).toBe(stderr);
  },
);

test('--renew renews the login certificate, for its name', async () => {
  await create({ redis, login: 'login.example.com' });
  const [certificate, key] = [await read('tls/login.crt'), await read('tls/login.key')];
  const printed = await renewCertificates({ ...context, now: () => now + 86_400_000 }, folder, []);
  expect(printed).toMatch(/tls\/login\.crt {3}until 2031-02-01, for login\.example\.com\n/);
  expect(await read('tls/login.crt')).not.toBe(certificate);
  expect(await read('tls/login.key')).not.toBe(key);
  const renewed = new X509Certificate(await read('tls/login.crt'));
  expect(renewed.verify(new X509Certificate(await read('tls/ca.crt')).publicKey)).toBe(true);
  expect(listHosts(renewed)).toEqual(['login.example.com']);
});

test('--renew --login gives the login certificate another name, or makes the first one', async () => {
  const rename = () => renewCertificates(context, folder, [], 'new.example.com');
  await create({ redis });
  expect(await rename()).toMatch(/tls\/login\.crt {3}until 2031-01-31, for new\.example\.com\n/);
  await renewCertificates(context, folder, [], 'login.example.com');
  const line =
    /tls\/login\.crt {3}until 2031-01-31, for new\.example\.com; new: new\.example\.com; no longer: login\.example\.com\n/;
  expect(await rename()).toMatch(line);
  expect(listHosts(new X509Certificate(await read('tls/login.crt')))).toEqual(['new.example.com']);
  expect(listHosts(new X509Certificate(await read('tls/server.crt')))).toEqual(hosts);
  expect(newLoginHost('LOGIN.example.com')).toBe('login.example.com');
  expect(() => newLoginHost(true)).toThrow('--renew keeps the name of the login server');
});

test('--renew --login says where the old name still is, and what follows it', async () => {
  await create({ redis, login: 'login.example.com' });
  const config = await read('gateway.yaml');
  const line = config.split('\n').findIndex((text) => text.includes('publicUrl: ')) + 1;
  const rename = (host: string) => renewCertificates(context, folder, [], host);
  expect(await rename('new.example.com')).toContain(
    `login.publicUrl is still https://login.example.com:8444. In ${folder}/gateway.yaml, line ${line}, write:\n\n  publicUrl: https://new.example.com:8444\n`,
  );
  expect(await rename('2001:db8::1')).toContain('  publicUrl: https://[2001:db8::1]:8444\n');
  expect(await rename('login.example.com')).not.toContain('publicUrl');
  await writeFile(join(folder, 'gateway.yaml'), config.replace(':8444\n', '\n'));
  expect(await rename('new.example.com')).toContain('  publicUrl: https://new.example.com\n');
  await writeFile(join(folder, 'gateway.yaml'), 'login: [');
  expect(await rename('new.example.com')).not.toContain('publicUrl');
});

test('--renew replaces no login certificate of another CA, and no key without its certificate', async () => {
  await create({ redis, login: 'login.example.com' });
  const rename = () => renewCertificates(context, folder, [], 'new.example.com');
  const pair = await issueServer(await createAuthority(now), ['login.example.com'], now);
  await writeFile(join(folder, 'tls/login.crt'), pair.certificate);
  const before = await contents();
  await expect(rename()).rejects.toThrow(
    /^nothing was renewed: .*tls\/login\.crt is from another CA, .* move it and tls\/login\.key away, and run: .* --renew --login new/,
  );
  expect(await contents()).toEqual(before);
  await rm(join(folder, 'tls/login.crt'));
  await expect(rename()).rejects.toThrow(
    /tls\/login\.crt can't be read, or tls\/login\.key is without/,
  );
  await writeFile(join(folder, 'tls/login.crt'), pair.certificate);
  await renewCertificates(context, folder, []);
  expect(await read('tls/login.crt')).toBe(pair.certificate);
  expect(context.printed.stderr).toContain('tls/login.crt is from another CA, and is not renewed');
});

test.each([
  { options: { login: true }, message: /^--login needs --redis: add --redis/ },
  { options: { redisCa: 'ca.crt' }, message: /^--redis-ca needs --redis/ },
  { options: { redis: 'https://redis' }, message: /^--redis must begin with rediss:\/\// },
  {
    options: { redis: 'redis://redis.example.com' },
    message: /^--redis is clear text to another machine/,
  },
  {
    options: { redis: 'rediss://:secret-word@redis.example.com' },
    message: /^--redis must have no user and no password(?!.*secret-word)/,
  },
  { options: { redis, login: 'https://login.example.com' }, message: /^--login: .* is a URL/ },
  {
    options: { redis, login: 'localhost' },
    message:
      /^--login localhost: only programs on this machine can reach that: write the name .* use examples\/login of a checkout/,
  },
] as const)('$options is refused', async ({ options, message }) => {
  await expect(create(options)).rejects.toThrow(message);
  expect(await readdir(folder)).toEqual([]);
});

test('what is not a CA, such as a key, is not copied as the CA of Redis, nor is a CA that would do nothing', async () => {
  const redisCa = `${folder}.ca`;
  onTestFinished(() => rm(redisCa));
  await expect(create({ redis, redisCa })).rejects.toThrow(
    /^--redis-ca: .* there is no such file: name the file of the CA that signed/,
  );
  const authority = await createAuthority(now);
  const { certificate, key } = authority;
  const leaf = await issueServer(authority, ['redis.example.com'], now);
  for (const [text, problem] of [
    [key, /^--redis-ca: .* contains a private key: name the file of the CA/],
    [certificate + key, /^--redis-ca: .* contains a private key/],
    ['no certificate', /^--redis-ca: .* contains no PEM certificate/],
    [leaf.certificate, /^--redis-ca: .* contains no CA certificate/],
  ] as const) {
    await writeFile(redisCa, text);
    await expect(create({ redis, redisCa })).rejects.toThrow(problem);
  }
  await writeFile(redisCa, certificate);
  await expect(create({ redis: 'redis://127.0.0.1', redisCa })).rejects.toThrow(
    /^--redis-ca is for a Redis with TLS/,
  );
  expect(await readdir(folder)).toEqual([]);
});

test('a login server without a name of its own needs a --host that people can reach', async () => {
  await expect(create({ redis, login: true }, ['127.0.0.1', 'gw.example.com'])).rejects.toThrow(
    /^--login has no name, so it is the first of --host, 127\.0\.0\.1: only programs on this machine/,
  );
  await expect(create({ redis, login: true }, [])).rejects.toThrow(
    /^--login needs a name: write the name by which people reach/,
  );
});

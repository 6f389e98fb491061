import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Authority, createAuthority } from '@sallyport/test-servers/certificates';
import { toLdif } from '@sallyport/test-servers/ldif';
import { startRedis } from '@sallyport/test-servers/redis';
import { redisUsers } from '@sallyport/test-servers/redis-users';
import { startSlapd } from '@sallyport/test-servers/slapd';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { describe, expect, test } from 'vitest';
import { parse, parseDocument } from 'yaml';
import { kubernetesTools, runTool } from './testing/kubernetes-tools.ts';
import {
  deployFolder,
  type KubernetesObject,
  kustomizeFolder,
  only,
  renderOverlay,
} from './testing/manifests.ts';
import { mountConfig, type Secrets } from './testing/mounted-config.ts';

const tools = kubernetesTools();

interface Finding {
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'error';
  readonly detail: string;
}

/**
 * Runs `sallyport check` on the volume of the pod. The certificates are valid for a day.
 *
 * @param more variables of its environment
 * @returns the findings
 */
async function checkMounted(
  objects: readonly KubernetesObject[],
  secrets: Secrets,
  more: Readonly<Record<string, string>> = {},
): Promise<readonly Finding[]> {
  await using folder = await temporaryFolder('mounted');
  await mountConfig(objects, secrets, folder.path);
  const manifest = createRequire(import.meta.url).resolve('@sallyport/gateway/package.json');
  const { bin } = JSON.parse(await readFile(manifest, 'utf8'));
  const words = [
    join(dirname(manifest), bin.sallyport),
    'check',
    '-o',
    'json',
    '--config',
    join(folder.path, 'gateway.yaml'),
  ];
  const cache = join(deployFolder, 'node_modules/.cache/node-compile');
  const env = { PATH: process.env.PATH, NODE_COMPILE_CACHE: cache, ...more };
  const { stdout } = await runTool(process.execPath, words, { env }).catch(
    (error: { stdout: string }) => error,
  );
  const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
  // Another process on this machine may use the ports.
  const expected = ({ check, detail }: Finding) =>
    check.endsWith('.listen') || / expires at .*: renew it$/.test(detail);
  return findings.filter((finding) => finding.result !== 'ok' && !expected(finding));
}

async function secretsFrom(authority: Authority): Promise<Secrets> {
  const { certificate, key } = await authority.issueServer({
    names: ['IP:10.96.0.53', 'IP:127.0.0.1'],
  });
  const sha256 = createHash('sha256').update(randomBytes(32)).digest('hex');
  return {
    'sallyport-tls': { 'tls.crt': certificate, 'tls.key': key },
    'sallyport-files': {
      'client-ca.crt': authority.certificate,
      'tokens.yaml': `tokens:\n  - sha256: ${sha256}\n    username: ops\n    groups: [system:masters]\n`,
    },
  };
}

test('sallyport check finds nothing in the mounted config, and no permission to complain of', async () => {
  await using authority = await createAuthority();
  expect(
    await checkMounted(await renderOverlay(tools, 'service'), await secretsFrom(authority)),
  ).toEqual([]);
});

/** A Redis whose user has the documented rights, and what a pod needs for it. */
async function startDocumentedRedis() {
  const [rights] = redisUsers['One user for everything'];
  const password = randomBytes(16).toString('hex');
  const redis = await startRedis({
    users: [rights.replace('>PASSWORD', `>${password}`)],
    password: true,
  });
  // As after `revoke --all`, by which an operator says that it is new.
  await redis.client().set('sallyport:{revocations}:revision', 'begun');
  const files = {
    'redis-ca.crt': await readFile(redis.caFile, 'utf8'),
    'redis-password': password,
    'sealing-key': randomBytes(32).toString('base64'),
  };
  const url = 'url: rediss://redis.example.com:6380';
  // A busy machine is not an outage.
  const places = {
    [`options:\\n      ${url}`]: `options:\\n      commandTimeout: 30s\\n      url: ${redis.tlsUrl}`,
    [`redis:\\n    ${url}`]: `redis:\\n    timeout: 5s\\n    url: ${redis.tlsUrl}`,
  };
  return { places, files, [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose]() };
}

/** Replaces the addresses of example.com. */
function replaced(
  objects: readonly KubernetesObject[],
  addresses: Readonly<Record<string, string>>,
): readonly KubernetesObject[] {
  const text = Object.entries(addresses).reduce(
    (all, [old, now]) => all.replaceAll(old, now),
    JSON.stringify(objects),
  );
  return JSON.parse(text);
}

test('nor in that of the component redis, with a Redis whose user has the documented rights', async () => {
  await using authority = await createAuthority();
  await using redis = await startDocumentedRedis();
  const objects = await renderOverlay(tools, 'service', ['redis']);
  const here = replaced(objects, redis.places);
  const secrets = await secretsFrom(authority);
  const files = { ...secrets['sallyport-files'], ...redis.files };
  expect(await checkMounted(here, { ...secrets, 'sallyport-files': files })).toEqual([]);
});

const jane = {
  dn: 'uid=jane,ou=people,dc=example,dc=com',
  attributes: { objectClass: 'inetOrgPerson', uid: 'jane', cn: 'Jane', sn: 'Doe' },
};
const devs = {
  dn: 'cn=devs,ou=groups,dc=example,dc=com',
  attributes: { objectClass: 'groupOfNames', cn: 'devs', member: jane.dn },
};

/** Runs `sallyport check` on the volume of pods of the component login, with a directory and a Redis. @returns the findings */
async function checkLogin(objects: readonly KubernetesObject[]): Promise<readonly Finding[]> {
  await using authority = await createAuthority();
  await using redis = await startDocumentedRedis();
  await using slapd = await startSlapd();
  await slapd.add(toLdif([jane, devs]));
  const here = replaced(objects, {
    ...redis.places,
    'ldaps://ldap.example.com': slapd.ldapsUrl,
    // A busy machine is not an outage of the directory.
    'caFile: ldap-ca.crt': 'caFile: ldap-ca.crt\\n      serverTimeout: 30s',
    'cn=sallyport,ou=services,dc=example,dc=com': slapd.service.dn,
    '.example.com': '.corp.test',
  });
  const secrets = await secretsFrom(authority);
  const files = {
    ...secrets['sallyport-files'],
    ...redis.files,
    'ldap-ca.crt': await readFile(slapd.caFile, 'utf8'),
    'ldap-password': slapd.service.password,
    'prod-ca.crt': authority.certificate,
  };
  const { certificate, key } = await authority.issueServer({ names: ['DNS:login.corp.test'] });
  const login = { 'tls.crt': certificate, 'tls.key': key };
  const all = { ...secrets, 'sallyport-files': files, 'sallyport-login-tls': login };
  // The config has no login.caFile, since the CA is one that the machines of users know.
  return await checkMounted(here, all, { NODE_EXTRA_CA_CERTS: authority.certificateFile });
}

test.each(['service', 'control-plane'])(
  'nor in that of the component login of %s, with a directory, and a Redis whose user has the documented rights',
  async (way) => {
    expect(await checkLogin(await renderOverlay(tools, way, ['login']))).toEqual([]);
  },
);

describe('docs/managed-clusters.md', async () => {
  const page = await readFile(join(deployFolder, 'blocks/docs/managed-clusters.md'), 'utf8');
  const blocks = [...page.matchAll(/^( *)```yaml\n(.*?)^ *```$/gms)].map(([, indent, text = '']) =>
    text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );
  const changes = parse(blocks.find((text) => text.startsWith('# changes of gateway.yaml')) ?? '');
  const policy = parse(blocks.find((text) => text.includes('kind: NetworkPolicy')) ?? '');

  test('the changes of the component login make a config that check accepts, with probes that reach it', async () => {
    const objects = await renderOverlay(tools, 'service', ['login']);
    const { data } = only(objects, 'ConfigMap', 'sallyport-config');
    const document = parseDocument(data['gateway.yaml']);
    document.set('server', changes.server);
    const [{ name, options }] = changes.authenticators;
    const authenticators: readonly { readonly name: string }[] = document.toJS().authenticators;
    const index = authenticators.findIndex((authenticator) => authenticator.name === name);
    const { attributes } = options.user;
    document.setIn(['authenticators', index, 'options', 'user', 'attributes'], attributes);
    data['gateway.yaml'] = document.toString({ lineWidth: 0 });
    const { admin, login } = document.toJS();
    const { ports } = only(objects, 'Deployment', 'sallyport').spec.template.spec.containers[0];
    expect([changes.server.listen, admin.listen, login.listen]).toEqual(
      ports.map(({ containerPort }: { containerPort: number }) => `:${containerPort}`),
    );
    expect(changes.server.apiAudiences).toEqual([login.clusters.prod.audience]);
    // The page says what the Concierge's refusal of every `uid` means.
    expect(await checkLogin(objects)).toEqual([
      expect.objectContaining({
        result: 'warning',
        detail: expect.stringMatching(/have no uid, so a new user with the same name gets their/),
      }),
    ]);
  });

  test('its NetworkPolicy lets the Concierge alone reach the review port, and takes the name of the open one', async () => {
    const objects = await renderOverlay(tools, 'service', ['login', 'network-policy']);
    const open = only(objects, 'NetworkPolicy', 'sallyport');
    expect([policy.metadata.name, policy.metadata.namespace]).toEqual(['sallyport', 'sallyport']);
    expect(policy.spec.podSelector).toEqual(open.spec.podSelector);
    expect(policy.spec.policyTypes).toEqual(['Ingress']);
    const concierge = { 'kubernetes.io/metadata.name': 'pinniped-concierge' };
    expect(policy.spec.ingress).toEqual([
      { from: [{ namespaceSelector: { matchLabels: concierge } }], ports: [{ port: 'reviews' }] },
      { ports: [{ port: 'login' }] },
    ]);
  });
});

test('the config of the component redis is that of the base, with a Redis', async () => {
  const [base, redis] = await Promise.all(
    ['base', 'components/redis'].map(async (folder) =>
      parse(await readFile(join(kustomizeFolder, folder, 'gateway.yaml'), 'utf8')),
    ),
  );
  expect(redis).toEqual({
    ...base,
    authenticators: [...base.authenticators, expect.objectContaining({ use: 'redis' })],
    cache: { redis: expect.anything() },
  });
});

test('the config of the component login is that of the component redis, with a directory, sessions and a login', async () => {
  const [redis, login] = await Promise.all(
    ['redis', 'login'].map(async (name) =>
      parse(await readFile(join(kustomizeFolder, `components/${name}/gateway.yaml`), 'utf8')),
    ),
  );
  const more = ['redis', 'ldap'].map((use) => expect.objectContaining({ use }));
  expect(login).toEqual({
    ...redis,
    authenticators: [...redis.authenticators, ...more],
    login: expect.anything(),
  });
});

import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configJsonSchema } from './json-schema.ts';
import { builtInPlugins, resolvePlugin } from './plugins.ts';
import { configFolder, pluginSource } from './testing/config-folder.ts';

const ldap = `(() => {
  const bind = z.object({ dn: z.string(), password: z.string().min(1), get next() { return bind.optional(); } });
  return z.object({
    urls: z.array(z.url()).describe('Servers.'),
    bind,
    user: z.union([z.string(), z.object({ base: z.string() })]).optional(),
    kind: z.xor([z.string().max(3), z.string().min(9), z.array(z.string())]).optional(),
  });
})()`;

/** A schema for two plugins of these options, compiled once for all tests. */
async function compiled() {
  await using folder = await configFolder();
  await folder.install('@sallyport/authenticator-ldap', pluginSource(ldap));
  await folder.install('@acme/other', pluginSource('z.object({ a: z.int().optional() })'));
  const plugins = await Promise.all(
    ['ldap', '@acme/other'].map((use) => resolvePlugin(use, folder.file)),
  );
  const ajv = new Ajv2020({
    strict: true,
    strictTypes: false,
    strictRequired: false,
    validateFormats: false,
    allErrors: true,
  });
  return ajv.compile(configJsonSchema(plugins));
}
const compiling = compiled();

/** What that schema says of a config. */
async function errorsOf(yaml: string): Promise<string[]> {
  const validate = await compiling;
  validate(parse(yaml));
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

const example = `
server:
  listen: 127.0.0.1:8080
  tls:
    certFile: tls/server.crt
    keyFile: tls/server.key
    minVersion: TLSv1.2
    clientCAFile: tls/front-ca.crt
    clientNames: [kube-apiserver]
  apiAudiences: []
  reviewTimeout: 10s
  maxBodySize: 256KiB
  maxTokenSize: 16KiB
  maxInFlight: 1000
  maxConnectionAge: 10m
  shutdownDelay: 0
  drainTimeout: 20s
admin:
  listen: 127.0.0.1:8081
authenticators:
  - name: other
    use: "@acme/other"
    allowSystemNames: [system:masters]
  - name: unnamed
    use: ./plugin.ts
    options: { any: { thing: 1 } }
    cache: off
  - name: corp
    use: ldap
    timeout: 3s
    onError: continue
    username: { prefix: "corp:" }
    groups: { prefix: "corp:", allow: ["k8s-*"] }
    options:
      urls: [{ env: URL }, ldaps://ldap-b.example.com]
      bind:
        dn: cn=sallyport
        password: { file: secrets/ldap }
        next: { dn: { env: DN }, password: { env: PASSWORD } }
      user: { env: USER_BASE }
      kind: { env: KIND }
    cache: { authenticatedTtl: 1m, rejectedTtl: 10s, unknownTtl: 1s, staleTtl: 0, store: memory }
cache:
  authenticatedTtl: 5m
  rejectedTtl: 30s
  unknownTtl: 10s
  staleTtl: 10m
  memory: { maxEntries: 50000 }
  redis:
    url: { env: REDIS_URL }
    password: { file: secrets/redis }
    caFile: tls/redis-ca.crt
    sealingKeys: [{ env: SALLYPORT_CACHE_KEY }, { file: secrets/cache-key }]
    timeout: 100ms
    keyPrefix: "sallyport:"
login:
  publicUrl: https://login.example.com
  sessions: sessions
  browser: true
  providers: { okta: { authenticator: oidc, clientId: sallyport, clientSecret: { file: secrets/okta } } }
  secondFactor: { required: all, redis: { url: { env: FACTORS_URL }, password: { env: FACTORS_PASSWORD } } }
lockout: { maxFailures: 3, window: 10m }
log: { level: info }
`;

describe('the JSON Schema of the whole file', () => {
  test('takes the example, secrets in place of texts', async () => {
    expect(await errorsOf(example)).toEqual([]);
  });

  test.each([
    {
      name: 'a duration',
      good: 'reviewTimeout: 10s',
      bad: 'reviewTimeout: 10',
      expected: '/server/reviewTimeout must be string',
    },
    {
      name: 'a duration’s unit',
      good: 'reviewTimeout: 10s',
      bad: 'reviewTimeout: 10x',
      expected: '/server/reviewTimeout must match pattern',
    },
    {
      name: 'a size',
      good: '256KiB',
      bad: '256KB',
      expected: '/server/maxBodySize must match pattern',
    },
    {
      name: 'a plugin’s option',
      good: 'urls: [{',
      bad: 'urls: 1 #',
      expected: '/authenticators/2/options/urls must be array',
    },
    {
      name: 'a missing option',
      good: '        dn: cn=sallyport\n',
      bad: '',
      expected: "/authenticators/2/options/bind must have required property 'dn'",
    },
    {
      name: 'an option behind a reference',
      good: 'next: { dn:',
      bad: 'next: { dm:',
      expected: "/authenticators/2/options/bind/next must have required property 'dn'",
    },
    {
      name: 'a secret of two kinds',
      good: '{ env: DN }',
      bad: '{ env: DN, file: x }',
      expected: '/authenticators/2/options/bind/next/dn must NOT have additional properties',
    },
    {
      name: 'a secret without a name',
      good: '{ env: URL }',
      bad: '{ env: "" }',
      expected: '/authenticators/2/options/urls/0/env must NOT have fewer than 1 characters',
    },
    {
      name: 'options of another plugin',
      good: 'use: "@acme/other"',
      bad: 'use: ldap',
      expected: "/authenticators/0 must have required property 'options'",
    },
    {
      name: 'a lifetime',
      good: 'staleTtl: 10m',
      bad: 'staleTtl: 10',
      expected: '/cache/staleTtl must be <= 0',
    },
    {
      name: 'a password',
      good: 'password: { file: secrets/redis }',
      bad: 'password: x',
      expected: '/cache/redis/password must be object',
    },
    {
      name: 'a client secret',
      good: 'clientSecret: { file: secrets/okta }',
      bad: 'clientSecret: x',
      expected: '/login/providers/okta/clientSecret must be object',
    },
    {
      name: 'a reference that is not a secret',
      good: 'clientId: sallyport',
      bad: 'clientId: { env: CLIENT_ID }',
      expected: '/login/providers/okta/clientId must be string',
    },
    {
      name: 'a sealing key',
      good: '[{ env: SALLYPORT_CACHE_KEY },',
      bad: '[x,',
      expected: '/cache/redis/sealingKeys/0 must be object',
    },
    {
      name: 'a prefix of keys',
      good: '"sallyport:"',
      bad: '"sallyport*"',
      expected: '/cache/redis/keyPrefix must match pattern',
    },
  ])('refuses $name that is wrong', async ({ good, bad, expected }) => {
    expect(example).toContain(good);
    const errors = await errorsOf(example.replace(good, bad));
    expect(errors).toContainEqual(expect.stringContaining(expected));
  });

  test('keeps what plugins say of their options', async () => {
    await using folder = await configFolder();
    await folder.install('@sallyport/authenticator-ldap', pluginSource(ldap));
    const schema = configJsonSchema([await resolvePlugin('ldap', folder.file)]);
    expect(schema).toHaveProperty('$defs.plugin-0-options.properties.urls.description', 'Servers.');
  });

  test('offers the known plugins, and takes others', async () => {
    const schema = configJsonSchema(await builtInPlugins());
    expect(schema).toHaveProperty('properties.authenticators.items.properties.use.anyOf', [
      { enum: expect.arrayContaining(['static']) },
      { type: 'string' },
    ]);
  });
});

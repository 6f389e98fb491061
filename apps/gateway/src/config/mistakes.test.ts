import { describe, expect, test } from 'vitest';
import { folderWithProbe, pluginSource } from './testing/config-folder.ts';

const entry = 'authenticators: [{ name: a, use: ./empty.js }]';

/** The schema of a plugin with one key that it needs. */
const probe = pluginSource('z.strictObject({ url: z.url() })');

describe('one mistake is one error, and it has a fix', () => {
  test.each([
    {
      mistake: 'a misspelled section',
      text: 'authenticator: [{ name: a, use: static }]\nlogin: { publicUrl: https://a, sessions: s, authenticators: [a] }',
      problem: '1:1: authenticator: unknown key: did you mean authenticators?',
    },
    {
      mistake: 'a name that is not valid, and is used',
      text: 'authenticators: [{ name: Corp, use: ./empty.js }]\nlogin: { publicUrl: https://a, sessions: s, authenticators: [corp] }',
      problem: '1:26: authenticators[0].name: must be lowercase letters',
    },
    {
      mistake: 'a misspelled option that is required',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { ulr: https://a } }]',
      problem:
        '1:57: authenticators[0].options.ulr: authenticator a (probe.js): unknown key: did you mean url?',
    },
    {
      mistake: 'no plugin',
      text: 'authenticators: [{ name: a }]',
      problem:
        '1:18: authenticators[0].use: is missing: add use with the name of the plugin that has its options, such as static',
    },
    {
      mistake: 'no authenticators',
      text: 'server: {}',
      problem:
        '1:1: authenticators: is missing: add authenticators: [{ name: tokens, use: static, options: { tokensFile: tokens.yaml } }]',
    },
    {
      mistake: 'a section that is a number',
      text: `tracing: 1\n${entry}`,
      problem:
        '1:10: tracing: must be keys and values: write for example tracing: { endpoint: http://otel-collector:4318/v1/traces }',
    },
    {
      mistake: 'a section that is a list',
      text: `lockout: [3]\n${entry}`,
      problem:
        '1:10: lockout: must be keys and values: write for example lockout: { maxFailures: 3 }',
    },
    {
      mistake: 'an entry that is a word',
      text: 'authenticators: [ldap]',
      problem:
        '1:18: authenticators[0]: must be keys and values: write for example { name: tokens, use: static }',
    },
    {
      mistake: 'yes',
      text: 'authenticators: [{ name: a, use: ./empty.js, reviews: yes }]',
      problem: '1:55: authenticators[0].reviews: must be true or false: write true, without quotes',
    },
    {
      mistake: 'a number that is not a name',
      text: 'authenticators: [{ name: 1, use: ./empty.js }]',
      problem: '1:26: authenticators[0].name: must be a string: put it in quotes',
    },
    {
      mistake: 'a negative number',
      text: `lockout: { maxFailures: -1 }\n${entry}`,
      problem:
        "1:25: lockout.maxFailures: must be at least 1: this guard is always on: write a number at least 2 below the directory's own limit, or 1000 if it locks no accounts",
    },
    {
      mistake: 'a number of the gateway that is too small',
      text: `authenticators: [{ name: a, use: ./empty.js, maxConcurrent: 0 }]`,
      problem: '1:61: authenticators[0].maxConcurrent: must be at least 1: write 1 or more',
    },
    {
      mistake: 'a cluster without a name',
      text: `authenticators: [{ name: a, use: ./empty.js }, { name: s, use: ./issuer.js }]\nlogin: { publicUrl: https://a, sessions: s, authenticators: [a], clusters: { server: 'https://a' } }`,
      problem:
        '2:86: login.clusters.server: must be keys and values: write a name before it: clusters: { NAME: { audience: https://kubernetes.default.svc.cluster.local, server: https://prod.example.com:6443 } }',
    },
    {
      mistake: 'keys in place of the name of an authenticator',
      text: `${entry}\nlogin: { publicUrl: https://a, authenticators: [a], sessions: { authenticator: a } }`,
      problem:
        '2:63: login.sessions: must be a string: write one value, without brackets or keys, such as sessions',
    },
    {
      mistake: 'a cache that is off for all',
      text: `cache: off\n${entry}`,
      problem:
        '1:8: cache: must be keys and values: write cache: off at each authenticator that is not to be cached',
    },
    {
      mistake: 'false for a section',
      text: `lockout: false\n${entry}`,
      problem:
        '1:10: lockout: must be keys and values: remove it: what is not in the file is off, or has its defaults',
    },
    {
      mistake: 'true for a list',
      text: 'authenticators: [{ name: a, use: ./empty.js, allowSystemNames: true }]',
      problem:
        '1:64: authenticators[0].allowSystemNames: must be a list: begin each of its entries with "- ", such as [system:masters]',
    },
    {
      mistake: 'braces in a list without quotes',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { url: [(uid={username})] } }]',
      problem:
        '1:68: is not valid YAML here: put a value that contains [ ] { } : or # in quotes; check brackets and indentation',
    },
    {
      mistake: 'a key of another section',
      text: `admin: { apiAudiences: [a] }\n${entry}`,
      problem: '1:10: admin.apiAudiences: unknown key: move it to the section server',
    },
    {
      mistake: 'a section in another section',
      text: `server: { audit: { output: stdout } }\n${entry}`,
      problem: '1:11: server.audit: unknown key: move it to the top level',
    },
    {
      mistake: 'an option next to `use`',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { url: https://a }, url: https://a }]',
      problem: '1:75: authenticators[0].url: unknown key: move it into options',
    },
    {
      mistake: 'a key of the authenticator in its options',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { url: https://a, timeout: 5s } }]',
      problem:
        '1:73: authenticators[0].options.timeout: authenticator a (probe.js): unknown key: move it out of options, next to use',
    },
    {
      mistake: 'the file of a secret as a key',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { url: https://a, urlFile: a } }]',
      problem:
        '1:73: authenticators[0].options.urlFile: authenticator a (probe.js): unknown key: write url: { file: PATH }',
    },
    {
      mistake: 'texts with commas for a list',
      text: `server: { apiAudiences: "https://a, b" }\n${entry}`,
      problem: '1:25: server.apiAudiences: must be a list: write [https://a, b]',
    },
    {
      mistake: 'one sealing key for a list',
      text: `cache: { redis: { url: unix:/a, sealingKeys: { file: gateway.yaml } } }\n${entry}`,
      problem: '1:46: cache.redis.sealingKeys: must be a list: write [{ file: gateway.yaml }]',
    },
    {
      mistake: 'a misspelled key that its section needs',
      text: `server: { tls: { certFile: a, keyFile: b, clientCAFile: c, clientNmaes: [d] } }\n${entry}`,
      problem: '1:60: server.tls.clientNmaes: unknown key: did you mean clientNames?',
    },
    {
      mistake: 'a prefix next to `use`',
      text: 'authenticators: [{ name: a, use: ./empty.js, prefix: a }]',
      problem:
        '1:46: authenticators[0].prefix: unknown key: move it into username or groups, as username: { prefix: … }',
    },
    {
      mistake: 'a merge key',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { url: https://a, <<: {} } }]',
      problem:
        '1:73: authenticators[0].options["<<"]: authenticator a (probe.js): unknown key: write the keys here: YAML 1.2 has no merge key',
    },
    {
      mistake: 'the word of another program for an option that is required',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { uri: https://a } }]',
      problem:
        '1:57: authenticators[0].options.uri: authenticator a (probe.js): unknown key: write url: https://backend.example.com',
    },
    {
      mistake: 'enabled',
      text: `lockout: { enabled: false }\n${entry}`,
      problem:
        '1:12: lockout.enabled: unknown key: remove it: what is in the file is enabled, so to disable a section or an entry, remove it',
    },
    {
      mistake: 'a word for a list of maps',
      text: `check: { acknowledge: permissions }\n${entry}`,
      problem:
        '1:23: check.acknowledge: must be a list: write for example [{ warning: shared-names, reason: "both are one directory" }]',
    },
    {
      mistake: 'part of a key that another section has',
      text: `cache: { ttl: 5m }\n${entry}`,
      problem: '1:10: cache.ttl: unknown key: did you mean authenticatedTtl?',
    },
    {
      mistake: 'another way to ask for client certificates',
      text: `server: { tls: { certFile: a, keyFile: b, clientAuth: require } }\n${entry}`,
      problem: '1:55: server.tls.clientAuth: must be none, or left out',
    },
    {
      mistake: 'a variable',
      text: `authenticators: [{ name: a, use: ./probe.js, options: { url: "\${URL}" } }]`,
      problem:
        '1:62: authenticators[0].options.url: contains a variable, such as $NAME, and nothing replaces variables in this file: write the value; a secret as { file: PATH } or { env: NAME }; or run envsubst on the file first',
    },
    {
      mistake: 'a variable with $ for a secret',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { url: { env: $A_URL } } }]',
      problem:
        '1:62: authenticators[0].options.url: authenticator a: env is the name of a variable, without $: write { env: A_URL }',
    },
    {
      mistake: 'a tag for a secret',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { url: !env A_URL } }]',
      problem:
        '1:62: unknown tag (a word that begins with "!"): quote a value that begins with !; write a secret as { env: NAME } or { file: PATH }',
    },
    {
      mistake: 'a placeholder of an example',
      text: 'authenticators: [{ name: a, use: ./probe.js, options: { url: "https://<your-host>/a" } }]',
      problem:
        '1:62: authenticators[0].options.url: contains a placeholder of an example, such as <NAME>: write your value in its place',
    },
    {
      mistake: 'keys for true or false',
      text: `admin: { statusPage: { show: 1 } }\n${entry}`,
      problem: '1:22: admin.statusPage: must be true or false: write true or false alone',
    },
    {
      mistake: 'a template',
      text: `server: { listen: {{ .Values.listen }} }\n${entry}`,
      problem:
        '1:20: a template ({{ … }}), which nothing replaces in this file: render it first, such as with helm template, or write the value',
    },
    {
      mistake: 'a ConfigMap with the file',
      text: 'apiVersion: v1\nkind: ConfigMap\ndata: { gateway.yaml: "authenticators: []" }',
      problem:
        ' is a Kubernetes object (kind: ConfigMap), and not a gateway.yaml: give the text of its key gateway.yaml alone',
    },
    {
      mistake: 'a kubeconfig',
      text: 'apiVersion: v1\nkind: Config\nclusters: []',
      problem:
        ' is a Kubernetes object (kind: Config), and not a gateway.yaml: name a gateway.yaml with --config or SALLYPORT_CONFIG, or create one with the command init',
    },
    {
      mistake: 'a file of tokens',
      text: 'tokens: [{ username: ops }]',
      problem:
        ' is a file of tokens: name a gateway.yaml with --config or SALLYPORT_CONFIG, or create one with the command init',
    },
    {
      mistake: 'a backend at the top level',
      text: `ldap: { urls: [ldaps://a] }\n${entry}`,
      problem:
        '1:1: ldap: unknown key: remove it, or write one of: server, admin, authenticators, cache, lockout, login, audit, provenance, tracing, check, log. A backend is an entry of authenticators, with use',
    },
    {
      mistake: 'no map',
      text: '- a',
      problem:
        '1:1: must have keys and values at the top level, such as "authenticators:": begin it with a key and a colon, or check the path',
    },
  ])('$mistake', async ({ text, problem }) => {
    await using folder = await folderWithProbe(probe);
    await folder.write('empty.js', pluginSource('z.strictObject({})'));
    await folder.write('issuer.js', pluginSource('z.strictObject({})', 'createTokenIssuer() {}'));
    const problems = await folder.problems(text);
    expect(problems).toEqual([expect.stringContaining(`gateway.yaml:${problem}`)]);
  });
});

test('a variable in a value that is valid is a warning, which does not quote it', async () => {
  await using folder = await folderWithProbe(probe);
  const { warnings } = await folder.load(
    `authenticators: [{ name: a, use: ./probe.js, options: { url: "https://\${HOST}/a" } }]`,
  );
  expect(warnings).toMatchObject([
    {
      line: 1,
      path: 'authenticators[0].options.url',
      message: expect.stringMatching(/^contains a variable/),
    },
  ]);
  expect(JSON.stringify(warnings)).not.toContain('HOST');
});

test.each([
  ['https://a/<TENANT_ID>', true],
  ['https://a/{tenant-id}/v2.0', true],
  ['<your name>', true],
  ['(&(a<=5)(b>=3))', false],
  ['(?<name>a)-(?P<user_name>b)', false],
  ['(uid={username})', false],
  ['a <b>', false],
])('whether %s is a placeholder of an example: %s', async (text, isPlaceholder) => {
  await using folder = await folderWithProbe(pluginSource('z.strictObject({ text: z.string() })'));
  const { warnings } = await folder.load(
    `authenticators: [{ name: a, use: ./probe.js, options: { text: ${JSON.stringify(text)} } }]`,
  );
  expect(warnings).toHaveLength(isPlaceholder ? 1 : 0);
});

test('a `$` that begins no variable is a value like others', async () => {
  await using folder = await folderWithProbe(
    pluginSource('z.strictObject({ text: z.array(z.string()) })'),
  );
  const text = ['$', 'a$', '^a{2}$', 'pa$$word', '$2y$10$abc', '{username}', '$a'];
  const { warnings } = await folder.load(
    `authenticators: [{ name: a, use: ./probe.js, options: { text: ${JSON.stringify(text)} } }]`,
  );
  expect(warnings).toEqual([]);
});

test('the file of a secret as a key is one error, although the secret is missing', async () => {
  await using folder = await folderWithProbe(
    pluginSource(
      `z.strictObject({ secret: z.string({ error: 'must be a secret: write { file: a }' }) })`,
    ),
  );
  const problems = async (options: string) =>
    folder.problems(`authenticators: [{ name: a, use: ./probe.js, options: ${options} }]`);
  expect(await problems('{ secretFile: a }')).toEqual([
    expect.stringMatching(/secretFile: .*: unknown key: write secret: \{ file: PATH \}$/),
  ]);
  expect(await problems('{}')).toEqual([
    expect.stringMatching(
      /secret: authenticator a \(probe\.js\): is missing: write \{ file: a \}$/,
    ),
  ]);
});

test('a folder in place of the file has a fix', async () => {
  await using folder = await folderWithProbe(probe);
  await folder.write('gateway.yaml/a', '');
  const { loadConfig } = await import('./load.ts');
  await expect(loadConfig(folder.file, {})).rejects.toThrow(
    'is a folder\n  fix: name a gateway.yaml with --config or SALLYPORT_CONFIG, or create one with the command init',
  );
  await folder.write('gateway.yaml/gateway.yaml', '');
  await expect(loadConfig(folder.file, {})).rejects.toThrow(
    `is a folder\n  fix: name the file in it: ${folder.file}/gateway.yaml`,
  );
});

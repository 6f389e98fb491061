import { generateKeyPairSync } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, createAuthority } from '@sallyport/test-servers/certificates';
import { freePort } from '@sallyport/test-servers/ports';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret, sha256 } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ConfigFolder, configText, createConfigFolder } from '../../testing/config-folder.ts';
import { type StartedGateway, startGatewayIn } from '../../testing/started-gateway.ts';

interface Finding {
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'error';
  readonly detail: string;
}

interface Report {
  readonly code: number;
  readonly folder: string;
  readonly findings: readonly Finding[];
  /** Findings that are not `ok`: `RESULT CHECK: DETAIL`, without the folder and without certificates that end soon. */
  readonly problems: readonly string[];
}

/** The password in a config whose server has a scheme and a port that look mixed up. */
const password = secret(randomToken());
const mixedUp = {
  name: 'corp',
  use: 'ldap',
  options: {
    urls: ['ldaps://127.0.0.1:389'],
    bind: { dn: 'cn=a,dc=b', password },
    user: { base: 'dc=b', filter: '(uid={username})' },
  },
};

let authority: Authority;
let place: ConfigFolder;
let gateway: StartedGateway;
beforeAll(async () => {
  authority = await createAuthority('server-authority');
  place = await createConfigFolder({ authenticators: [mixedUp] });
  gateway = await startGatewayIn(place.folder);
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
});

interface Setup {
  readonly config: object;
  readonly files?: Readonly<Record<string, string>>;
  /** The mode of a file. Defaults to that of its owner alone. */
  readonly modes?: Readonly<Record<string, number>>;
}

async function check({ config, files = {}, modes = {} }: Setup): Promise<Report> {
  await using checked = await createConfigFolder({ ...config }, files);
  const { folder } = checked;
  for (const [name, mode] of Object.entries(modes)) await chmod(join(folder, name), mode);
  const { code, stdout } = await checked.run(['check', '-o', 'json']);
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  const problems = findings
    .filter(({ result, detail }) => result !== 'ok' && !/ expires at [^ ]+: renew it$/.test(detail))
    .map(
      ({ check, result, detail }) => `${result} ${check}: ${detail.replaceAll(`${folder}/`, '')}`,
    );
  return { code, folder, findings, problems };
}

const tokens = () => ({ 'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }) });

/** Makes a config with mutual TLS, and with the files that its tests are not about. */
async function withTls(
  files: Readonly<Record<string, string>>,
  server: object = {},
): Promise<Setup & { readonly config: object }> {
  const { certificate, key } = await authority.issueServer();
  const tls = {
    certFile: 'tls/server.crt',
    keyFile: 'tls/server.key',
    clientCAFile: 'tls/client-ca.crt',
    clientNames: ['kube-apiserver'],
  };
  return {
    config: { server: { ...server, tls }, authenticators: [staticAuthenticator] },
    files: {
      'tls/server.crt': certificate,
      'tls/server.key': key,
      'tls/client-ca.crt': authority.certificate,
      ...tokens(),
      ...files,
    },
  };
}

test('check lists the names of a good certificate, and has nothing against it, an unknown authority or a free address', async () => {
  // check can't know which certificates clients have.
  const unknown = await createAuthority('unknown');
  const listen = `127.0.0.1:${await freePort()}`;
  const setup = await withTls({ 'tls/client-ca.crt': unknown.certificate }, { listen });
  const { code, problems, findings } = await check(setup);
  expect([code, problems]).toEqual([0, []]);
  expect(findings.find((one) => one.check === 'server certificate')?.detail).toMatch(
    /, for DNS:localhost, IP Address:127\.0\.0\.1, .*: the server in kube-apiserver's webhook kubeconfig must be one of these$/,
  );
});

/** An issuer whose tokens the identity policy refuses, for the key that `credentialId` adds. */
const issuing = {
  name: 'oidc',
  use: 'jwt',
  options: {
    issuers: [
      {
        issuer: {
          url: 'https://idp.example.org',
          audiences: ['kubernetes'],
          jwksFile: 'keys.json',
        },
        claimMappings: { username: { claim: 'sub' } },
        credentialId: true,
      },
    ],
  },
};

test('check finds names and keys that the identity policy refuses, and lists the first of many', async () => {
  const entry = { sha256: sha256(randomToken()), username: 'jane', groups: ['system:masters'] };
  const nodes = Array.from({ length: 12 }, (_, index) => [randomToken(), `system:node:${index}`]);
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { code, problems } = await check({
    config: {
      server: { apiAudiences: ['kubernetes'] },
      authenticators: [
        staticAuthenticator,
        { ...staticAuthenticator, name: 'allowed', allowSystemNames: ['system:masters'] },
        {
          ...staticAuthenticator,
          name: 'corp',
          username: { prefix: 'corp:' },
          options: { tokensFile: 'corp.yaml' },
        },
        { ...staticAuthenticator, name: 'foreign', options: { tokensFile: 'corp.yaml' } },
        { ...staticAuthenticator, name: 'nodes', options: { tokensFile: 'nodes.yaml' } },
        issuing,
      ],
    },
    files: {
      'keys.json': JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] }),
      'tokens.yaml': `tokens:\n  - ${JSON.stringify(entry)}\n`,
      'corp.yaml': tokensFile({ [randomToken()]: 'corp:jane' }),
      'nodes.yaml': tokensFile(Object.fromEntries(nodes)),
    },
  });
  expect(code).toBe(1);
  const refuses = (name: string, what: string) =>
    expect.stringMatching(`^error authenticator ${name}: .* the identity policy refuses ${what}`);
  expect(problems).toEqual([
    refuses(
      'robots',
      '1 of its users: jane: a system: name is not in allowSystemNames \\(system:masters\\)',
    ),
    expect.stringMatching(
      /^warning authenticator corp: .* 1 of its names would have their prefix twice: corp:corp:jane: write/,
    ),
    refuses(
      'foreign',
      '1 of its users: corp:jane: the prefix corp: belongs to another authenticator',
    ),
    refuses('nodes', '12 of its users: (system:node:\\d+: [^;]*; ){4}[^;]*, and 7 more'),
    refuses('oidc', '1 of its users: <sub>: .* \\(authentication.kubernetes.io/credential-id\\)'),
  ]);
});

describe('check of files', () => {
  const ldap = (name: string, more: object) => ({
    name,
    use: 'ldap',
    options: {
      urls: ['ldaps://127.0.0.1:1'],
      user: { base: 'dc=example,dc=com', filter: '(uid={username})' },
      ...more,
    },
  });

  /** Returns the names of the files that are not there, as the problems name them. */
  const missingFiles = ({ problems }: Report) =>
    problems
      .map((problem) => /(missing-[\w-]+) can't be read: there is no such file/.exec(problem)?.[1])
      .sort();

  test('names all missing secrets in one run', async () => {
    const bind = { dn: 'cn=a,dc=b', password: { file: 'missing-password' } };
    const report = await check({
      config: {
        cache: {
          redis: { url: { file: 'missing-url' }, sealingKeys: [{ file: 'missing-sealing' }] },
        },
        authenticators: [ldap('corp', { bind })],
      },
    });
    expect(report.code).toBe(1);
    expect(missingFiles(report)).toEqual(['missing-password', 'missing-sealing', 'missing-url']);
  });

  test('names the line of each file that is missing, and so does a start', async () => {
    const tls = { certFile: 'gone', keyFile: 'gone', clientCAFile: 'gone', clientNames: ['a'] };
    const config = { server: { tls }, authenticators: [staticAuthenticator] };
    const sessions = { name: 'sessions', use: 'redis', options: { url: 'redis://127.0.0.1:1' } };
    const prod = { audience: 'prod', server: 'https://prod:6443', caFile: 'gone' };
    const login = {
      publicUrl: 'http://localhost:8444',
      sessions: 'sessions',
      authenticators: ['corp'],
      clusters: { 'prod.eu': prod },
    };
    const { findings } = await check({
      config: { ...config, login, authenticators: [staticAuthenticator, mixedUp, sessions] },
    });
    const keys = [
      '6:15: server.tls.certFile',
      '7:14: server.tls.keyFile',
      '8:19: server.tls.clientCAFile',
      '40:15: login.clusters["prod.eu"].caFile',
    ];
    expect(findings.filter(({ detail }) => detail.includes('gone'))).toMatchObject(
      keys.map((key) => ({ detail: expect.stringContaining(`/gateway.yaml:${key}: /`) })),
    );
    await using folder = await createConfigFolder(config);
    await expect(startGatewayIn(folder.folder)).rejects.toThrow(
      /yaml:6:15: server\.tls\.certFile: .*yaml:7:14: server\.tls\.keyFile: /s,
    );
  });

  test('names all other missing files in one run', async () => {
    const both = { tokensFile: 'missing-tokens', tokenAuthFile: 'missing-csv' };
    const pair = { caFile: 'missing-ca', certFile: 'missing-certificate', keyFile: 'missing-key' };
    const report = await check({
      config: {
        server: {
          tls: {
            certFile: 'missing-server',
            keyFile: 'missing-server-key',
            clientCAFile: 'missing-client-ca',
            clientNames: ['a'],
          },
        },
        authenticators: [{ ...staticAuthenticator, options: both }, ldap('corp', pair)],
      },
    });
    expect(report.code).toBe(1);
    expect(missingFiles(report)).toEqual(
      [
        'missing-server',
        'missing-server-key',
        'missing-client-ca',
        'missing-tokens',
        'missing-csv',
        'missing-ca',
        'missing-certificate',
        'missing-key',
      ].sort(),
    );
  });

  test('has one line for a file that a plugin cannot use, and none for what follows from that', async () => {
    const plugin = `export default {
      specificationVersion: 1,
      name: 'probe',
      optionsSchema: {
        '~standard': {
          version: 1,
          vendor: 'x',
          validate: (value) => ({ value }),
          jsonSchema: { input: () => ({ type: 'object', additionalProperties: false }) },
        },
      },
      caching: 'none',
      async create(_options, { logger, watchFile }) {
        logger.warn({ problem: 'the connection was refused' }, 'no connection');
        logger.warn({}, 'another');
        await watchFile('garbage', () => { throw new Error('caFile: garbage has no PEM certificate'); });
        return { recognizes: () => false, authenticate: async () => ({ kind: 'no-opinion' }), close: async () => {} };
      },
    };`;
    const { problems } = await check({
      config: { authenticators: [{ name: 'probe', use: './probe.js' }] },
      files: { 'probe.js': plugin, garbage: 'garbage' },
    });
    expect(problems).toEqual([
      expect.stringMatching(/^warning authenticator probe: .*: another$/),
      expect.stringMatching(
        /^error authenticator probe: .* caFile: garbage has no PEM certificate$/,
      ),
    ]);
  });

  test('warns of keys and secrets that others can read, of files that they can change, and of a certificate of another host', async () => {
    const { certificate, key } = await authority.issueServer({
      names: ['DNS:gateway.example.com'],
    });
    const pair = { 'tls/server.crt': certificate, 'tls/server.key': key };
    const setup = await withTls({ ...pair, 'tokens.csv': `${randomToken()},jane,1\n` });
    const options = { tokensFile: 'tokens.yaml', tokenAuthFile: 'tokens.csv' };
    const { code, problems } = await check({
      ...setup,
      config: { ...setup.config, authenticators: [{ ...staticAuthenticator, options }] },
      modes: {
        'tls/server.key': 0o604,
        'tls/server.crt': 0o604,
        'tokens.yaml': 0o606,
        'tokens.csv': 0o604,
      },
    });
    expect(code).toBe(0);
    expect(problems.toSorted()).toEqual([
      expect.stringMatching(
        /^warning TLS: the server certificate is not for 127\.0\.0\.1, .* by DNS:gateway\.example\.com; .*: openssl req .*=DNS:gateway\.example\.com,IP:127\.0\.0\.1$/,
      ),
      'warning permissions: tls/server.key: everyone on this machine can read the secret in it (mode 0604): run chmod o-r tls/server.key',
      'warning permissions: tokens.csv: everyone on this machine can read the secret in it (mode 0604): run chmod o-r tokens.csv',
      'warning permissions: tokens.yaml: everyone on this machine can change it (mode 0606): run chmod o-w tokens.yaml',
    ]);
  });

  test('finds an address that this machine does not have, and a name that no one has', async () => {
    const { problems } = await check({
      config: {
        server: { apiAudiences: ['https://api.example.com'] },
        // This address is of RFC 5737, section 3.
        admin: { listen: '192.0.2.10:8081' },
        authenticators: [staticAuthenticator],
      },
    });
    expect(problems).toContainEqual(
      expect.stringMatching(
        /^warning config: names of an example are left: server\.apiAudiences \(https:\/\/api\.example\.com\)/,
      ),
    );
    expect(problems).toContainEqual(expect.stringMatching(/^error admin\.listen: .*192\.0\.2\.10/));
  });

  test('warns of a password that is written in the config, of a port of the other scheme, and of addresses in use', async () => {
    const [server, admin] = [new URL(gateway.url).host, new URL(gateway.adminUrl).host];
    // As long as the timeout of an authenticator that has none in its config.
    const late = { serverTimeout: '3s', urls: [...mixedUp.options.urls, 'ldaps://127.0.0.1:1'] };
    const corp = { ...mixedUp, options: { ...mixedUp.options, ...late } };
    const { problems } = await check({
      config: { server: { listen: server }, admin: { listen: admin }, authenticators: [corp] },
      modes: { 'gateway.yaml': 0o604 },
    });
    const warnings = problems.filter((one) => one.startsWith('warning'));
    expect(warnings).toEqual([
      expect.stringMatching(
        /^warning config: gateway\.yaml:\d+:\d+: authenticators\[0\]\.options\.bind\.password: .* is a secret that is written in this file/,
      ),
      expect.stringContaining(
        `warning server.listen: ${server} is in use by a gateway with another config file: stop it, or`,
      ),
      expect.stringContaining(`warning admin.listen: ${admin} is in use`),
      expect.stringMatching(
        /^warning authenticator corp: .* look mixed up \(server: ldaps:\/\/127\.0\.0\.1:389; hint: servers expect ldap:\/\//,
      ),
      expect.stringMatching(
        /^warning authenticator corp: .* serverTimeout is not less than timeout .* \(serverTimeout: 3s; timeout: 3s\)$/,
      ),
      expect.stringMatching(
        /^warning permissions: gateway\.yaml: everyone on this machine can read the secret in it/,
      ),
    ]);
  });
});

test('serve logs a password that is written in the config, at each load', async () => {
  const logged = (message: string) =>
    gateway
      .log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ msg }) => msg === message);
  const warning = expect.objectContaining({
    level: 'warn',
    problem: expect.objectContaining({ path: 'authenticators[0].options.bind.password' }),
  });
  // On a busy machine, the gateway may have seen its new files as changed, and loaded them again.
  const before = logged('config warning').length;
  expect(before).toBeGreaterThan(0);
  expect(logged('scheme and port of a server look mixed up')).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      authenticator: 'corp',
      server: 'ldaps://127.0.0.1:389',
    }),
  );
  await gateway.reload();
  const after = logged('config warning');
  expect(after).toEqual(after.map(() => warning));
  expect(after.length).toBeGreaterThan(before);
});

test('warns of tokens that are taken for those of another authenticator', async () => {
  const robots = (name: string, tokenPrefix: string) => {
    return { name, use: 'redis', options: { url: 'redis://127.0.0.1:1', tokenPrefix } };
  };
  const { findings } = await check({
    config: { authenticators: [robots('ci', 'slp_'), robots('robots', 'slp_ci_')] },
  });
  expect(findings).toContainEqual({
    check: 'token prefixes',
    result: 'warning',
    name: 'shared-tokens',
    detail: expect.stringMatching(
      /^ci and robots: their tokens begin with slp_ and slp_ci_, .*for nothing.*robots is never asked: give each a tokenPrefix of its own$/,
    ),
  });
});

const trick = 'x\n  fix: evil\u001b[31m';

test('check quotes nothing of a config that a terminal obeys, or that looks like a fix', async () => {
  await using checked = await createConfigFolder({
    server: { shutdownDelay: trick },
    authenticators: [
      { ...staticAuthenticator, name: trick },
      { name: 'x', use: `./${trick}` },
    ],
  });
  const { code, stdout } = await checked.run(['check']);
  expect([code, stdout]).toEqual([1, expect.stringContaining('evil')]);
  const column = stdout.indexOf('DETAIL');
  expect(stdout).not.toContain('\u001b');
  expect(stdout).not.toMatch(new RegExp(`^ {0,${column + 2}}fix: evil`, 'm'));
});

test('check has one quiet line about the gateway that runs with its config, or with one that this file replaces', async () => {
  const setup = { admin: { statusPage: false }, authenticators: [staticAuthenticator] };
  await using checked = await createConfigFolder(setup, tokens());
  await using running = await startGatewayIn(checked.folder);
  const [server, admin] = [new URL(running.url).host, new URL(running.adminUrl).host];
  const config = configText({ ...setup, server: { listen: server }, admin: { listen: admin } });
  await checked.write('gateway.yaml', config);
  await checked.write('next.yaml', config);
  const { stdout } = await checked.run(['check']);
  expect(stdout).toMatch(
    new RegExp(
      `^gateway +ok +runs with this config file, and listens on ${admin}, ${server}$`,
      'm',
    ),
  );
  expect(stdout).toMatch(/\n\n0 errors, 0 warnings\n$/);
  const replacement = await checked.run(['check', '--config', 'next.yaml']);
  expect(replacement.stdout).toMatch(
    /^gateway +ok +runs with gateway\.yaml, which this file may replace, and listens on /m,
  );
  expect(replacement.stdout).toMatch(/\n\n0 errors, 0 warnings\n$/);
});

test('check counts a warning that the config acknowledges, and shows it only in JSON, with the reason', async () => {
  const acknowledge = [{ warning: 'example-names', about: 'login.example.com', reason: 'a lab' }];
  await using checked = await createConfigFolder(
    {
      server: { apiAudiences: ['https://login.example.com'] },
      authenticators: [staticAuthenticator],
      check: { acknowledge },
    },
    tokens(),
  );
  const { code, stdout } = await checked.run(['check']);
  expect([code, stdout]).toEqual([0, expect.not.stringContaining('names of an example')]);
  expect(stdout).toMatch(/\n\n0 errors, 0 warnings, 1 acknowledged\n$/);
  const { findings } = JSON.parse((await checked.run(['check', '-o', 'json'])).stdout);
  expect(findings).toContainEqual({
    check: 'config',
    result: 'acknowledged',
    name: 'example-names',
    detail: expect.stringMatching(/^names of an example are left: .*: write your own names$/),
    reason: 'a lab',
  });
});

test('check passes a good config, with a table', async () => {
  await using checked = await createConfigFolder(
    { authenticators: [staticAuthenticator] },
    tokens(),
  );
  const { code, stdout, stderr } = await checked.run(['check']);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^config +ok .*gateway\.yaml\n/m);
  expect(stdout).toMatch(/robots.*ok/);
});

test('check finds all errors of a config in one run, says where and what it left out, and exits 1', async () => {
  const missing = {
    ...staticAuthenticator,
    options: { tokensFile: { file: 'secrets/missing' } },
  };
  const text = configText({ authenticators: [missing, { name: 'other', use: 'statik' }] });
  await using checked = await createConfigFolder(
    text.replace('listen:', 'lissten:').replace('shutdownDelay: 0s', 'shutdownDelay: 5'),
  );
  const { code, stdout, stderr } = await checked.run(['check']);
  expect(code).toBe(1);
  expect(stderr).toContain(
    'this config has errors, so its files, addresses and backends were not checked\n  fix: correct the config, and run check again',
  );
  for (const message of [
    /gateway\.yaml:\d+:\d+: .*lissten: unknown key\n +fix: did you mean listen/,
    /gateway\.yaml:\d+:18: .*unit/,
    /gateway\.yaml:\d+:\d+: .*secrets\/missing can't be read/,
    /gateway\.yaml:\d+:\d+: .*statik/,
  ]) {
    expect(stdout).toMatch(message);
  }
});

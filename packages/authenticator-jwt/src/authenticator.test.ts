import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuthenticatorError, type DirectoryUse } from '@sallyport/authenticator';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { countingMetrics } from '@sallyport/test-servers/counting-metrics';
import { waitFor } from '@sallyport/test-servers/wait-for';
import fc from 'fast-check';
import { importJWK, type JWK, SignJWT } from 'jose';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { createJwtAuthenticator } from './authenticator.ts';
import plugin from './index.ts';
import { newKey, startProvider } from './testing/provider.ts';
import { optionsFor, settled, writtenOptions } from './testing/written-options.ts';

const folder = mkdtempSync(join(tmpdir(), 'jwt-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'keys.json');
const key = await newKey('one');
const url = 'https://idp.example.com';
const at = Date.parse('2030-01-01T00:00:00Z');
const context = { audiences: [], signal: new AbortController().signal };

const write = (...keys: readonly JWK[]) => writeFileSync(file, JSON.stringify({ keys }));

async function sign(claims: object, by: JWK = key): Promise<string> {
  const all = { iss: url, aud: 'kubernetes', sub: 'jane', exp: at / 1000 + 60, ...claims };
  const header = { alg: 'ES256', kid: String(by.kid) };
  return new SignJWT(all).setProtectedHeader(header).sign(await importJWK(by, 'ES256'));
}

/** Makes an authenticator whose keys are in the file. */
async function open(changed: object = {}) {
  const recorded = recordingContext({ pluginName: 'jwt', baseDirectory: folder });
  const issuer = { url, audiences: ['kubernetes', 'cli'], jwksFile: 'keys.json' };
  const options = settled(writtenOptions({ issuer, ...changed }));
  const authenticator = await createJwtAuthenticator(options, recorded.context, {
    date: () => at,
    now: () => 0,
  });
  onTestFinished(() => authenticator.close());
  return { authenticator, recorded };
}

test('the answer has the audiences of the token that the config lists, and an end', async () => {
  write(key);
  const { authenticator } = await open();
  const token = await sign({ aud: ['cli', 'else', 'cli'] });
  expect(authenticator.recognizes?.(token)).toBe(true);
  expect(await authenticator.authenticate(token, context)).toEqual({
    kind: 'authenticated',
    user: { username: 'jane' },
    audiences: ['cli'],
    expiresAt: new Date(at + 90_000),
  });
});

test('the answer has the ids by which the token can be blocked', async () => {
  write(key);
  const { authenticator } = await open();
  const answer = async (claims: object) => authenticator.authenticate(await sign(claims), context);
  expect(await answer({ jti: '7', sid: 'one' })).toMatchObject({
    credential: { jti: '7', sid: 'one' },
  });
  expect(await answer({ jti: 7 })).not.toHaveProperty('credential');
});

test('the audiences of the API server come to those of the token, where the config says so', async () => {
  write(key);
  const { authenticator } = await open({ apiAudiences: ['https://kubernetes.default.svc'] });
  expect(await authenticator.authenticate(await sign({}), context)).toMatchObject({
    audiences: ['kubernetes', 'https://kubernetes.default.svc'],
  });
  expect(
    await authenticator.authenticate(
      await sign({ aud: 'https://kubernetes.default.svc' }),
      context,
    ),
  ).toEqual({
    kind: 'rejected',
    reason: 'audience-mismatch',
    subject: 'jane',
    audiences: ['https://kubernetes.default.svc'],
  });
});

test('a refusal names the user as the config maps them, if the signature is valid and the name may be one', async () => {
  write(key);
  const username = { claim: 'email', prefix: 'mail:' };
  const { authenticator } = await open({
    claimMappings: { username },
    claimValidationRules: [{ claim: 'hd', requiredValue: 'example.com' }],
  });
  const subjectOf = async (claims: object, by?: JWK) => {
    const decision = await authenticator.authenticate(
      await sign({ exp: 1, ...claims }, by),
      context,
    );
    return decision.kind === 'rejected' ? decision.subject : decision.kind;
  };
  const email = 'jane@example.com';
  expect(await subjectOf({ email })).toBe('mail:jane@example.com');
  expect(await subjectOf({ email, exp: at / 1000 + 60, hd: 'else' })).toBe('mail:jane@example.com');
  expect(await subjectOf({ email }, await newKey('one'))).toBeUndefined();
  for (const unnamed of [
    {},
    { email: 7 },
    { email, email_verified: false },
    { email: 'jane\ud800' },
  ]) {
    expect(await subjectOf(unnamed)).toBeUndefined();
  }
});

test('keys in a file are followed, and a bad file leaves the old ones in force', async () => {
  write(key);
  const { authenticator, recorded } = await open();
  const second = await newKey('two');
  const [old, fresh] = [await sign({}), await sign({}, second)];
  const kinds = async () => [
    (await authenticator.authenticate(old, context)).kind,
    (await authenticator.authenticate(fresh, context)).kind,
  ];
  expect(await kinds()).toEqual(['authenticated', 'rejected']);
  for (const bad of [
    '{',
    '{}',
    '{"keys":[]}',
    JSON.stringify({ keys: [{ kty: 'oct', k: 'AA' }] }),
  ]) {
    writeFileSync(file, bad);
    await recorded.touch();
    expect(await kinds()).toEqual(['authenticated', 'rejected']);
  }
  write(second);
  await recorded.touch();
  expect(await kinds()).toEqual(['rejected', 'authenticated']);
});

test('cached answers are of the keys in force, in whatever order and in whichever replica', async () => {
  const second = await newKey('two');
  const versionOf = ({ authenticator }: Awaited<ReturnType<typeof open>>) =>
    authenticator.answersVersion?.();
  write(key, second);
  const replica = await open();
  const version = versionOf(replica);
  write(second, key);
  await replica.recorded.touch();
  expect([versionOf(replica), versionOf(await open())]).toEqual([version, version]);
  write(second);
  await replica.recorded.touch();
  expect(versionOf(replica)).not.toBe(version);
  expect(versionOf(replica)).toBe(versionOf(await open()));
});

test('a reload while the issuer is down leaves cached answers as they are, until its keys are read', async () => {
  await using provider = await startProvider({ robot: {} });
  const options = settled(optionsFor(provider));
  const reload = async () => {
    const recorded = recordingContext({ pluginName: 'jwt', baseDirectory: folder });
    const authenticator = await plugin.create(options, recorded.context);
    onTestFinished(() => authenticator.close());
    return authenticator;
  };
  const first = await reload();
  const token = await provider.token('robot');
  await first.authenticate(token, context);
  const version = first.answersVersion?.();
  await provider.stop();
  const second = await reload();
  await expect(second.authenticate(token, context)).rejects.toThrow();
  expect(second.answersVersion?.()).toBe(version);
  provider.rotate([await newKey('second')]);
  await provider.start();
  const third = await reload();
  await third.authenticate(await provider.token('robot'), context);
  expect(third.answersVersion?.()).not.toBe(version);
});

test.each([
  ['{', 'is not a JSON document: write a JWK set'],
  [
    '-----BEGIN PUBLIC KEY-----\nMFk=\n-----END PUBLIC KEY-----\n',
    'is PEM, not JSON: write a JWK set',
  ],
  ['{}', 'is not a JWK set: it needs a list "keys"'],
  ['{"keys":[]}', 'has no public key: write the'],
  [
    '{"kty":"EC"}',
    'is not a JWK set: it needs a list "keys". This is one key: write {"keys": [KEY]}',
  ],
  [
    '{"issuer":"a","jwks_uri":"b"}',
    'is not a JWK set: it needs a list "keys". This is a discovery document: write the document at its jwks_uri',
  ],
  ['{"keys":[{"kty":"EC","use":"jwt-svid"}]}', 'has no key that can check a token (use: jwt-svid)'],
  [
    '{"keys":[{"kty":"EC","key_ops":["sign"]}]}',
    'has no key that can check a token (key_ops: sign)',
  ],
  ['{"keys":[{"kty":"EC","alg":"ECDH-ES"}]}', 'has no key that can check a token (alg: ECDH-ES)'],
  [
    '{"keys":[{"kty":"OKP","crv":"Ed25519"}]}',
    'has no key for the algorithms that are accepted (RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512): write algorithms: [EdDSA, Ed25519], or',
  ],
])(
  'a file of keys with %j is refused at the start, by the name of its option',
  async (bad, words) => {
    writeFileSync(file, bad);
    await expect(open()).rejects.toThrow(`options.issuers[0].issuer.jwksFile: keys.json ${words}`);
  },
);

test.each([
  ['RS256', { kty: 'EC' }, 'ES256, ES384, ES512'],
  ['ES256', { kty: 'RSA' }, 'RS256, RS384, RS512, PS256, PS384, PS512'],
  ['RS256', { kty: 'RSA', alg: 'PS256' }, 'PS256'],
])('a file of keys for none of algorithms, %s, is refused', async (algorithm, jwk, possible) => {
  writeFileSync(file, JSON.stringify({ keys: [jwk] }));
  await expect(open({ algorithms: [algorithm] })).rejects.toThrow(
    `(${algorithm}): write algorithms: [${possible}],`,
  );
});

test('a file of CAs that has none is refused by the name of its option', async () => {
  writeFileSync(file, '{}');
  await expect(
    open({ issuer: { url, audiences: ['kubernetes'], certificateAuthorityFile: 'keys.json' } }),
  ).rejects.toThrow(
    'options.issuers[0].issuer.certificateAuthorityFile: keys.json has no PEM certificate',
  );
});

test('a private key in a file of public keys is warned of, and never kept', async () => {
  const warnings = async (...keys: readonly JWK[]) => {
    write(...keys);
    return (await open()).recorded.lines
      .filter(({ level }) => level === 'warn')
      .map(({ message }) => message);
  };
  const isPrivate = expect.stringContaining('have a private key among them');
  const { d: _private, ...isPublic } = key;
  expect(await warnings(isPublic)).toEqual([]);
  expect(await warnings(isPublic, await newKey('two'))).toEqual([isPrivate]);
  expect(await warnings(isPublic, { kty: 'oct', k: 'AA' })).toEqual([isPrivate]);
});

test('check learns the names and keys that an issuer can give', async () => {
  write(key);
  const username = { claim: 'sub', prefix: 'idp:' };
  const extra = [{ key: 'example.com/tenant', claim: 'tid' }];
  const groups = { claim: 'roles', prefix: 'idp-' };
  const { authenticator } = await open({
    claimMappings: { username, groups, extra, uid: { claim: 'oid' } },
    credentialId: true,
  });
  const { authenticator: least } = await open();
  expect([...(authenticator.knownUsers?.() ?? []), ...(least.knownUsers?.() ?? [])]).toEqual([
    {
      username: 'idp:<sub>',
      uid: '<oid>',
      groups: ['idp-<roles>'],
      extra: {
        'example.com/tenant': ['<tid>'],
        'authentication.kubernetes.io/credential-id': ['JTI=<jti>'],
      },
    },
    { username: '<sub>', extra: {} },
  ]);
});

test('explain learns the audiences of the token and of the config, why there are no groups, and of an unknown issuer', async () => {
  write(key);
  const { authenticator } = await open({
    claimMappings: { username: { claim: 'sub' }, groups: { claim: 'roles' } },
    apiAudiences: ['https://api.example.com'],
  });
  const steps: string[] = [];
  const trace = (step: string) => void steps.push(step);
  await authenticator.authenticate(await sign({ aud: ['else', 'x\n'] }), { ...context, trace });
  await authenticator.authenticate(await sign({}), { ...context, trace });
  expect(steps).toEqual([
    `issuer ${url}: the token is for the audiences "else", "x\\n" (aud), and issuer.audiences has only kubernetes, cli: get a token for one of these, or add one`,
    `issuer ${url}: the signature is valid`,
    `issuer ${url}: no groups: claim roles is not in the token, which has aud, exp, iss, sub: let the issuer correct it, or name another claim in the options`,
  ]);
  expect([...(authenticator.tokenAudiences?.() ?? [])]).toEqual([
    { source: `issuer ${url}`, audiences: ['kubernetes', 'cli', 'https://api.example.com'] },
  ]);
  expect(authenticator.whyUnrecognized?.(await sign({ iss: `${url}/` }))).toContain(
    `the nearest one there is ${url}`,
  );
});

test('the login server learns the issuers whose keys are fetched, with the CAs in force', async () => {
  write(key);
  await using first = await createAuthority('first');
  await using second = await createAuthority('second');
  const caFile = join(folder, 'ca.crt');
  writeFileSync(caFile, first.certificate);
  const recorded = recordingContext({ pluginName: 'jwt', baseDirectory: folder });
  const audiences = ['kubernetes', 'cli'];
  const issuers = [
    { url: 'https://127.0.0.1:1/outside/', audiences },
    {
      url: 'https://127.0.0.1:1/inside',
      audiences: ['kubernetes'],
      discoveryURL: 'https://127.0.0.1:1/discovery',
      certificateAuthorityFile: 'ca.crt',
    },
    { url, audiences, jwksFile: 'keys.json' },
  ].map((issuer) => writtenOptions({ issuer }).issuers[0]);
  const authenticator = await plugin.create(settled({ issuers }), recorded.context);
  onTestFinished(() => authenticator.close());
  const listed = () =>
    [...(authenticator.idTokenIssuers?.() ?? [])].map(({ ca, ...one }) => ({
      ...one,
      ca: ca()?.toString(),
    }));
  expect(listed()).toEqual([
    {
      issuer: 'https://127.0.0.1:1/outside/',
      audiences,
      discoveryUrl: 'https://127.0.0.1:1/outside/.well-known/openid-configuration',
      ca: undefined,
    },
    {
      issuer: 'https://127.0.0.1:1/inside',
      audiences: ['kubernetes'],
      discoveryUrl: 'https://127.0.0.1:1/discovery',
      ca: first.certificate,
    },
  ]);
  writeFileSync(caFile, second.certificate);
  await recorded.touch();
  expect(listed()[1]?.ca).toBe(second.certificate);
});

test('what a mapping refuses is a refusal, and explain says why without the token', async () => {
  write(key);
  const { authenticator } = await open({
    claimValidationRules: [{ claim: 'hd', requiredValue: 'example.com' }],
  });
  const steps: string[] = [];
  const values: (string | undefined)[] = [];
  const trace = (step: string, value?: string) => {
    steps.push(step);
    values.push(value);
  };
  const token = await sign({ hd: 'else.example.com' });
  expect(await authenticator.authenticate(token, { ...context, trace })).toEqual({
    kind: 'rejected',
    reason: 'invalid-credentials',
    subject: 'jane',
  });
  expect(
    await authenticator.authenticate(await sign({ exp: 1 }), { ...context, trace }),
  ).toMatchObject({
    reason: 'expired',
  });
  expect(steps).toEqual([
    `issuer ${url}: claim hd does not have the required value`,
    expect.stringMatching(
      /^issuer .*: it has expired \(exp\): \d+d(\d+h)? ago, at 1970-01-01T00:00:01Z; the clock here says 20/,
    ),
  ]);
  expect(values).toEqual([
    'it is the string "else.example.com", and the rule has the string "example.com"',
    undefined,
  ]);
});

test('each issuer has its own keys, and a token of an unknown one costs no request', async () => {
  await using provider = await startProvider({ robot: {} });
  write(key);
  const recorded = recordingContext({ pluginName: 'jwt', baseDirectory: folder });
  const [online] = (optionsFor(provider) as { issuers: object[] }).issuers;
  const [offline] = writtenOptions({
    issuer: { url, audiences: ['kubernetes'], jwksFile: 'keys.json' },
  }).issuers;
  const authenticator = await plugin.create(
    settled({ issuers: [online, offline] }),
    recorded.context,
  );
  onTestFinished(() => authenticator.close());
  const fetched = await provider.token('robot');
  expect((await authenticator.authenticate(fetched, context)).kind).toBe('authenticated');
  const far = { exp: Math.floor(Date.now() / 1000) + 60 };
  expect((await authenticator.authenticate(await sign(far), context)).kind).toBe('authenticated');
  // It is signed by the one, in the name of the other.
  expect(
    await authenticator.authenticate(await sign({ ...far, iss: provider.url }), context),
  ).toMatchObject({
    kind: 'rejected',
  });
  const before = provider.asked.length;
  for (const iss of ['https://else.example.com', `${url}/`, url.toUpperCase(), '', 7, null]) {
    const token = await sign({ ...far, iss });
    expect([iss, authenticator.recognizes?.(token)]).toEqual([iss, false]);
    expect(await authenticator.authenticate(token, context)).toEqual({ kind: 'no-opinion' });
  }
  expect(provider.asked.length).toBe(before);
});

test('check asks the issuer, and warns of one that signs with no algorithm of the config', async () => {
  await using provider = await startProvider({ robot: {} });
  const recorded = recordingContext({ pluginName: 'jwt', baseDirectory: folder });
  const options = settled(optionsFor(provider, { algorithms: ['PS512'] }));
  const authenticator = await plugin.create(options, recorded.context);
  onTestFinished(() => authenticator.close());
  await authenticator.check?.(context.signal);
  expect(recorded.lines).toContainEqual(
    expect.objectContaining({ level: 'warn', message: 'the issuer signs with none of algorithms' }),
  );
  const isPrivate = expect.objectContaining({
    message: expect.stringContaining('have a private key among them'),
  });
  expect(recorded.lines).not.toContainEqual(isPrivate);
  provider.behave('shows its private keys');
  await authenticator.check?.(context.signal);
  expect(recorded.lines).toContainEqual(isPrivate);
  provider.behave('has keys for encryption alone');
  await expect(authenticator.check?.(context.signal)).rejects.toThrow(
    'has no key that can check a token (use: enc',
  );
  provider.behave('fails');
  await expect(authenticator.check?.(context.signal)).rejects.toThrow('answers 500');
});

test('check warns of users who could choose whose groups they get, only if directory looks them up', async () => {
  write(key);
  const { authenticator } = await open({ claimMappings: { username: { claim: 'nickname' } } });
  const check = (use?: DirectoryUse) => authenticator.check?.(context.signal, use);
  expect(await check({ lookedUpBy: 'username' })).toEqual([
    expect.stringMatching(/^issuer https:\/\/idp\.example\.com: .* claim nickname/),
  ]);
  expect(await check({ lookedUpBy: 'uid' })).toEqual([]);
  expect(await check({ isDirectory: true })).toEqual([]);
  expect(await check()).toEqual([]);
});

test('check warns of a rule whose value looks like a pattern, or is left out', async () => {
  write(key);
  const check = async (requiredValue: string) => {
    const claimValidationRules = [{ claim: 'sub', requiredValue }];
    const { authenticator } = await open({ claimValidationRules });
    return authenticator.check?.(context.signal);
  };
  expect(await check('repo:acme/*')).toEqual([expect.stringContaining('compared exactly')]);
  expect(await check('')).toEqual([expect.stringContaining('accepts only an empty string')]);
  expect(await check('repo:acme/app:ref:refs/heads/main')).toEqual([]);
});

test('check names all issuers that are down, also one that does not answer', async () => {
  await using failing = await startProvider({});
  await using hanging = await startProvider({});
  await using healthy = await startProvider({});
  failing.behave('fails');
  await hanging.hang();
  const recorded = recordingContext({ pluginName: 'jwt', baseDirectory: folder });
  const jwks = { timeout: '100ms' };
  const issuers = [optionsFor(failing), optionsFor(hanging, { jwks }), optionsFor(healthy)].map(
    (one) => (one as { issuers: object[] }).issuers[0],
  );
  const authenticator = await plugin.create(settled({ issuers }), recorded.context);
  onTestFinished(() => authenticator.close());
  const path = '/.well-known/openid-configuration';
  await expect(authenticator.check?.(context.signal)).rejects.toThrow(
    new AuthenticatorError(
      'unavailable',
      `${failing.url}${path}: answers 500; ${hanging.url}${path}: no answer in time (jwks.timeout)`,
    ),
  );
});

test('metrics say when the keys of each issuer were read, how many there are, and what failed', async () => {
  await using provider = await startProvider({ robot: {} });
  provider.behave('fails');
  const started = Math.floor(Date.now() / 1000);
  const { metrics, values } = countingMetrics();
  const recorded = recordingContext({ pluginName: 'jwt', baseDirectory: folder });
  const authenticator = await plugin.create(settled(optionsFor(provider)), {
    ...recorded.context,
    metrics,
  });
  onTestFinished(() => authenticator.close());
  const label = `{issuer=${provider.url}}`;
  await waitFor(() => values.get(`key_read_failures_total${label}`) === 1, 'a failure');
  provider.behave('ok');
  await waitFor(() => values.get(`keys${label}`) === 1, 'the keys to be read');
  const read = values.get(`keys_read_timestamp_seconds${label}`);
  expect(read).toBeGreaterThanOrEqual(started);
  expect(read).toBeLessThanOrEqual(Date.now() / 1000);
});

test('another spelling of a signature is another text, and no token', async () => {
  write(key);
  const { authenticator } = await open();
  const token = await sign({});
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const passed: string[] = [];
  for (const letter of letters) {
    const text = token.slice(0, -1) + letter;
    if ((await authenticator.authenticate(text, context)).kind === 'authenticated')
      passed.push(text);
  }
  expect(passed).toEqual([token]);
});

test('any text is recognized or not, without a throw, and what is changed in a token never passes', async () => {
  write(key);
  const { authenticator } = await open();
  const token = await sign({});
  const changed = fc
    .tuple(fc.nat(token.length - 1), fc.constantFrom(...'ABab01-_.{'))
    .map(([index, letter]) => token.slice(0, index) + letter + token.slice(index + 1));
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), changed), async (text) => {
      fc.pre(text !== '' && text !== token);
      const known = authenticator.recognizes?.(text);
      expect(typeof known).toBe('boolean');
      const { kind } = await authenticator.authenticate(text, context);
      expect(kind).toBe(known ? 'rejected' : 'no-opinion');
    }),
    { numRuns: 300 },
  );
});

import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readUnverifiedJwt } from '@sallyport/plugin-kit';
import { createLocalJWKSet, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import type { KeySet } from './key-set.ts';
import { newKey } from './testing/provider.ts';
import { settled, writtenOptions } from './testing/written-options.ts';
import { verifyJwt } from './verify.ts';

const at = Date.parse('2030-01-01T00:00:00Z');
const seconds = at / 1000;
const good = {
  iss: 'https://idp.example.com',
  aud: 'kubernetes',
  sub: 'jane',
  iat: seconds - 60,
  exp: seconds + 60,
};
const key = await newKey('one');

async function sign(claims: object, header: object = {}, by: JWK = key): Promise<string> {
  const { kid, alg = 'ES256' } = by;
  const protectedHeader = { alg, ...(kid !== undefined && { kid }), ...header };
  return new SignJWT({ ...claims })
    .setProtectedHeader(protectedHeader)
    .sign(await importJWK(by, alg));
}

const fixedKeys = (...keys: readonly JWK[]): KeySet => {
  const find = createLocalJWKSet({ keys: keys.map(({ d: _, ...rest }) => rest) });
  const none = async () => undefined;
  return {
    inForce: () => find,
    current: async () => find,
    newer: none,
    read: none,
    close: () => {},
  };
};

async function verifyToken(token: string, changed: object, keys = fixedKeys(key)) {
  const [issuer] = settled(writtenOptions(changed)).issuers;
  const unverified = readUnverifiedJwt(token);
  if (issuer === undefined || unverified === undefined) return undefined;
  return verifyJwt(
    { token, claims: unverified.claims },
    issuer,
    keys,
    new AbortController().signal,
    at,
  );
}

async function resultOf(
  token: string,
  changed: object = {},
  keys = fixedKeys(key),
): Promise<unknown> {
  const verified = await verifyToken(token, changed, keys);
  if (verified === undefined) return 'not recognized';
  return 'reason' in verified ? verified.reason : verified.claims.sub;
}

test.each<{ name: string; claims: object; answer: string; changed?: object }>([
  { name: 'good', claims: {}, answer: 'jane' },
  { name: 'for several audiences', claims: { aud: ['else', 'kubernetes'] }, answer: 'jane' },
  { name: 'at the edge of its life', claims: { exp: seconds - 29 }, answer: 'jane' },
  { name: 'expired', claims: { exp: seconds - 30 }, answer: 'expired' },
  { name: 'without an end', claims: { exp: undefined }, answer: 'invalid-credentials' },
  { name: 'with a text for its end', claims: { exp: '9999999999' }, answer: 'invalid-credentials' },
  { name: 'not valid yet', claims: { nbf: seconds + 31 }, answer: 'not-yet-valid' },
  { name: 'valid within the tolerance', claims: { nbf: seconds + 30 }, answer: 'jane' },
  { name: 'issued in the future', claims: { iat: seconds + 31 }, answer: 'not-yet-valid' },
  { name: 'issued within the tolerance', claims: { iat: seconds + 30 }, answer: 'jane' },
  { name: 'without a time of issue', claims: { iat: undefined }, answer: 'jane' },
  { name: 'for another audience', claims: { aud: 'else' }, answer: 'audience-mismatch' },
  {
    name: 'for an audience in another case',
    claims: { aud: 'Kubernetes' },
    answer: 'audience-mismatch',
  },
  { name: 'for no audience', claims: { aud: undefined }, answer: 'audience-mismatch' },
  {
    name: 'of another issuer',
    claims: { iss: 'https://else.example.com' },
    answer: 'invalid-credentials',
  },
  { name: 'young enough', claims: {}, answer: 'jane', changed: { maxTokenAge: '5m' } },
  {
    name: 'too old',
    claims: { iat: seconds - 331 },
    answer: 'expired',
    changed: { maxTokenAge: '5m' },
  },
  {
    name: 'of unknown age',
    claims: { iat: undefined },
    answer: 'invalid-credentials',
    changed: { maxTokenAge: '5m' },
  },
  {
    name: 'of no tolerance',
    claims: { exp: seconds },
    answer: 'expired',
    changed: { clockTolerance: '0s' },
  },
])('a token that is $name', async ({ claims, answer, changed }) => {
  expect(await resultOf(await sign({ ...good, ...claims }), changed)).toBe(answer);
});

const clock = 'the clock here says 2030-01-01T00:00:00Z';
test.each<{ claims: object; problem: string; changed?: object }>([
  {
    claims: { exp: seconds - 180 },
    problem: `it has expired (exp): 3m ago, at 2029-12-31T23:57:00Z; ${clock}`,
  },
  {
    claims: { exp: seconds - 31.5 },
    problem: `it has expired (exp): 32s ago, at 2029-12-31T23:59:28Z; ${clock}`,
  },
  {
    claims: { exp: seconds - 7_200 },
    problem: `it has expired (exp): 2h ago, at 2029-12-31T22:00:00Z; ${clock}`,
  },
  {
    claims: { exp: -1e300 },
    problem: expect.stringContaining('d ago, at a time that no calendar has; '),
  },
  {
    claims: { nbf: seconds + 300 },
    problem: `it is not valid yet (nbf): in 5m, at 2030-01-01T00:05:00Z; ${clock}`,
  },
  {
    claims: { nbf: 'tomorrow' },
    problem: 'its nbf is not a number: the issuer must write a time in seconds',
  },
  {
    claims: { exp: undefined },
    problem: 'its exp is missing: the issuer must write it into its tokens',
  },
  {
    claims: { aud: 5 },
    problem: expect.stringMatching(/^its aud is neither .*: the issuer must write one of /),
  },
  {
    claims: { iat: seconds + 60 },
    problem: `it was issued in the future (iat): in 60s, at 2030-01-01T00:01:00Z; ${clock}. Check the clocks`,
  },
  {
    claims: { iat: seconds + 60 },
    problem: expect.stringMatching(/^it was issued in the future \(iat\): in 60s,/),
    changed: { maxTokenAge: '5m' },
  },
  {
    claims: { iat: seconds - 3 * 86_400 },
    problem: `it is older than maxTokenAge (iat): 3d ago, at 2029-12-29T00:00:00Z; ${clock}`,
    changed: { maxTokenAge: '5m' },
  },
])('the words about the time of $claims', async ({ claims, problem, changed = {} }) => {
  expect(await verifyToken(await sign({ ...good, ...claims }), changed)).toMatchObject({ problem });
});

describe('the claims of a refused token', () => {
  test.each<{ name: string; claims: object; changed?: object }>([
    { name: 'has expired', claims: { exp: seconds - 30 } },
    { name: 'is too old', claims: { iat: seconds - 331 }, changed: { maxTokenAge: '5m' } },
    { name: 'is not valid yet', claims: { nbf: seconds + 31 } },
    { name: 'was issued in the future', claims: { iat: seconds + 31 } },
    { name: 'is for another audience', claims: { aud: 'else' } },
    { name: 'has no end', claims: { exp: undefined } },
  ])(
    'that $name are known if its signature is good, and only then',
    async ({ claims, changed = {} }) => {
      const token = await sign({ ...good, ...claims });
      expect(await verifyToken(token, changed, fixedKeys(key))).toMatchObject({
        claims: { sub: 'jane' },
      });
      for (const keys of [fixedKeys(await newKey('one')), fixedKeys(await newKey('two'))]) {
        const refusal = await verifyToken(token, changed, keys);
        expect(JSON.stringify(refusal)).not.toContain('ERR_');
        expect(refusal).toMatchObject({ reason: expect.any(String) });
        expect(refusal).not.toHaveProperty('claims');
      }
      const [header, , signature] = token.split('.');
      const [, other] = (await sign({ ...good, ...claims, sub: 'bob' })).split('.');
      const forged = await verifyToken(
        [header, other, signature].join('.'),
        changed,
        fixedKeys(key),
      );
      expect(forged).not.toHaveProperty('claims');
    },
  );

  test('that has expired are not worth a question to the issuer', async () => {
    const ask = () => Promise.reject(new Error('asked'));
    const keys: KeySet = {
      inForce: () => undefined,
      current: ask,
      newer: ask,
      read: ask,
      close: () => {},
    };
    const refusal = await verifyToken(await sign({ ...good, exp: 1 }), {}, keys);
    expect(refusal).toEqual({ reason: 'expired', problem: expect.any(String) });
  });
});

describe('the header', () => {
  test('an algorithm that is not listed is refused, though the key is right', async () => {
    expect(await resultOf(await sign(good), { algorithms: ['RS256'] })).toBe('invalid-credentials');
  });

  test('alg none is refused, and so is HS256 by the public key', async () => {
    const [, payload] = (await sign(good)).split('.');
    const part = (header: object) => Buffer.from(JSON.stringify(header)).toString('base64url');
    expect(await resultOf(`${part({ alg: 'none', kid: 'one' })}.${payload}.AA`)).toBe(
      'invalid-credentials',
    );
    const secret = createPublicKey({
      key: { ...key, d: undefined },
      format: 'jwk',
    } as never).export({
      type: 'spki',
      format: 'pem',
    });
    const forged = await new SignJWT(good)
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .sign(Buffer.from(secret));
    expect(await verifyToken(forged, {}, fixedKeys(key))).toEqual({
      reason: 'invalid-credentials',
      problem: expect.stringMatching(
        /^its alg HS256 is not in the option algorithms \(RS256\b.*\): .*shared secret is never accepted$/,
      ),
    });
  });

  test('an algorithm that the option lacks is named with the fix', async () => {
    const problem = 'its alg ES256 is not in the option algorithms (RS256): let the issuer sign ';
    expect(await verifyToken(await sign(good), { algorithms: ['RS256'] })).toMatchObject({
      problem: expect.stringContaining(problem),
    });
  });

  test('typ counts where it is required', async () => {
    expect(await verifyToken(await sign(good, { typ: 'JWT' }), { typ: 'at+jwt' })).toMatchObject({
      problem: expect.stringMatching(/^its typ is not at\+jwt, .*: get a token of this type$/),
    });
    expect(await resultOf(await sign(good, { typ: 'at+jwt' }), { typ: 'at+jwt' })).toBe('jane');
    expect(await resultOf(await sign(good, { typ: 'application/at+jwt' }), { typ: 'at+jwt' })).toBe(
      'jane',
    );
    expect(await resultOf(await sign(good, { typ: 'JWT' }), { typ: 'at+jwt' })).toBe(
      'invalid-credentials',
    );
    expect(await resultOf(await sign(good), { typ: 'at+jwt' })).toBe('invalid-credentials');
  });

  test('a key in the header, or an address of one, is not followed', async () => {
    const other = await newKey('mine');
    const { d: _, ...jwk } = other;
    for (const header of [
      { jwk },
      { jku: 'https://else.example.com/jwks' },
      { x5u: 'https://else.example.com/x' },
    ]) {
      expect(await resultOf(await sign(good, { ...header, kid: 'mine' }, other))).toBe(
        'invalid-credentials',
      );
    }
  });

  test('an extension that must be understood is refused', async () => {
    const token = await new SignJWT(good)
      .setProtectedHeader({ alg: 'ES256', kid: 'one', crit: ['x'], x: 1 })
      .sign(await importJWK(key, 'ES256'), { crit: { x: true } });
    expect(await resultOf(token)).toBe('invalid-credentials');
  });
});

describe('keys', () => {
  test('a key of another issuer with the same id is refused', async () => {
    expect(await resultOf(await sign(good, {}, await newKey('one')))).toBe('invalid-credentials');
  });

  test('without a key id each key is tried, at most four', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, (_, index) => newKey(`k${index}`)));
    const { kid: _, ...fourth } = keys[3] as JWK;
    const { kid: __, ...fifth } = keys[4] as JWK;
    expect(await resultOf(await sign(good, {}, fourth), {}, fixedKeys(...keys))).toBe('jane');
    expect(
      await resultOf(
        await sign({ ...good, exp: seconds - 29 }, {}, fourth),
        {},
        fixedKeys(...keys),
      ),
    ).toBe('jane');
    expect(await resultOf(await sign(good, {}, fifth), {}, fixedKeys(...keys))).toBe(
      'invalid-credentials',
    );
  });

  test('a token without a key id makes the keys be read again, before it is refused', async () => {
    const { kid: _, ...fresh } = await newKey('new');
    const { d: __, ...published } = fresh;
    const later = createLocalJWKSet({ keys: [published] });
    const token = await sign(good, {}, fresh);
    expect(await resultOf(token, {}, fixedKeys(key))).toBe('invalid-credentials');
    expect(await resultOf(token, {}, { ...fixedKeys(key), newer: async () => later })).toBe('jane');
    const withId = await sign(good, {}, { ...fresh, kid: 'one' });
    expect(await resultOf(withId, {}, { ...fixedKeys(key), newer: async () => later })).toBe(
      'invalid-credentials',
    );
  });

  test('a key for encryption signs nothing; one without a use does', async () => {
    expect(await resultOf(await sign(good), {}, fixedKeys({ ...key, use: 'enc' }))).toBe(
      'invalid-credentials',
    );
    const { use: _, ...open } = key;
    expect(await resultOf(await sign(good), {}, fixedKeys(open))).toBe('jane');
  });

  const { x = '' } = key;
  test.each<{ name: string; changed: object }>([
    { name: 'an EC key without y', changed: { kty: 'EC', crv: 'P-256', x } },
    { name: 'an EC key that is no point', changed: { kty: 'EC', crv: 'P-256', x, y: x } },
    { name: 'an EC key of another curve', changed: { kty: 'EC', crv: 'P-384', x, y: key.y } },
    { name: 'an OKP key', changed: { kty: 'OKP', crv: 'Ed25519', x } },
    { name: 'an OKP key for encryption', changed: { kty: 'OKP', crv: 'X25519', x } },
    { name: 'a symmetric key', changed: { kty: 'oct', k: x } },
    { name: 'an RSA key without e', changed: { kty: 'RSA', n: x } },
  ])('$name lets no one in, and leaves good keys in force', async ({ changed }) => {
    const { alg, use } = key;
    const keys = fixedKeys({ ...changed, alg, use, kid: 'bad' } as JWK, key);
    const result = await resultOf(await sign(good, {}, { ...key, kid: 'bad' }), {}, keys).catch(
      ({ code }: { readonly code: unknown }) => code,
    );
    expect(result).toBeOneOf(['invalid-credentials', 'failed']);
    const { kid: _, ...nameless } = key;
    for (const by of [key, nameless])
      expect(await resultOf(await sign(good, {}, by), {}, keys)).toBe('jane');
  });

  test('a key that was withdrawn is refused once its keys were read again', async () => {
    expect(await resultOf(await sign(good), {}, fixedKeys(await newKey('two')))).toBe(
      'invalid-credentials',
    );
  });

  test('an RSA key of 1024 bits makes no decision', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const weak = { ...privateKey.export({ format: 'jwk' }), kid: 'weak', alg: 'RS256' } as JWK;
    const input = (await sign(good)).split('.')[1];
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: 'weak' })).toString('base64url');
    const publicPart = { kty: weak.kty, n: weak.n, e: weak.e, kid: 'weak', alg: 'RS256' } as JWK;
    const token = `${header}.${input}.${'A'.repeat(171)}`;
    await expect(resultOf(token, {}, fixedKeys(publicPart))).rejects.toMatchObject({
      code: 'failed',
    });
  });

  test.each(['RS256', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])(
    'a signature by %s is accepted',
    async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      const one = { ...(await exportJWK(privateKey)), kid: 'one', alg };
      const publicPart = {
        kty: one.kty,
        crv: one.crv,
        x: one.x,
        y: one.y,
        n: one.n,
        e: one.e,
        kid: 'one',
      } as JWK;
      const defined = JSON.parse(JSON.stringify(publicPart)) as JWK;
      expect(
        await resultOf(await sign(good, {}, one), { algorithms: [alg] }, fixedKeys(defined)),
      ).toBe('jane');
    },
  );

  test('a token that openssl signed is accepted', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const input = `${part({ alg: 'RS256', kid: 'o' })}.${part(good)}`;
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const signature = execFileSync(
      'bash',
      ['-c', 'openssl dgst -sha256 -sign <(printf %s "$KEY")'],
      {
        input,
        env: { ...process.env, KEY: pem },
      },
    );
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'o' } as JWK;
    const token = `${input}.${signature.toString('base64url')}`;
    expect(await resultOf(token, {}, fixedKeys(jwk))).toBe('jane');
    expect(await resultOf(`${token.slice(0, -4)}AAAA`, {}, fixedKeys(jwk))).toBe(
      'invalid-credentials',
    );
  });
});

import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSealingKey } from '../../engine/sealing/seal.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import {
  attemptLifetime,
  type BrowserState,
  createAttemptTexts,
  findLoginSecret,
  formToken,
  isFormToken,
  isVerifier,
  keyLength,
  writePath,
} from './attempt.ts';
import { type AttemptFields, shortenChallenge } from './attempt-bytes.ts';

const at = Date.parse('2030-01-01T00:00:00Z');
const clusters = ['prod', 'staging'];
const keyOf = (letter: string, place = '') => createSealingKey(Buffer.alloc(32, letter), place);
const createTexts = (letters: string, now = () => at, place = '', names = clusters) =>
  createAttemptTexts(
    Array.from(letters, (letter) => keyOf(letter, place)),
    now,
    names,
  );
const texts = createTexts('A');

/** Any text that JSON and UTF-8 can keep. */
const text = fc.string({ unit: anyCharacter, maxLength: 64 });
const optional = fc.option(text, { nil: undefined });
const attempts: fc.Arbitrary<AttemptFields> = fc
  .record({
    until: fc
      .integer({ min: 1, max: attemptLifetime / 1_000 })
      .map((second) => at + second * 1_000),
    challenge: fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .map((bytes) => Buffer.from(bytes).toString('base64url')),
    address: fc.oneof(
      fc.constant(''),
      fc.ipV4(),
      fc.tuple(...Array.from({ length: 4 }, () => fc.nat(0xffff))).map((groups) => {
        const words = groups.map((group) => group.toString(16));
        return `${words.join(':')}::/64`;
      }),
    ),
    port: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
    cluster: fc.constantFrom(undefined, ...clusters),
    device: optional,
    username: optional,
    manages: fc.option(fc.record({ invitation: optional }), { nil: undefined }),
  })
  .map(({ challenge, ...fields }) => ({ ...fields, challenge: fields.manages ? '' : challenge }));
const fields: AttemptFields = {
  until: at + attemptLifetime,
  challenge: shortenChallenge(secretDigest('verifier')),
  address: '192.0.2.1',
  port: undefined,
  cluster: 'prod',
  device: undefined,
  username: undefined,
  manages: undefined,
};
const attempt = texts.begin(fields);

describe('an attempt in a URL', () => {
  test('is read as it was written, and its text shows nothing of it', () => {
    fc.assert(
      fc.property(attempts, fc.boolean(), (begun, hasKey) => {
        const { id, sealed, ...written } = texts.begin(begun);
        expect(written).toEqual(begun);
        expect(sealed).toMatch(/^[\w-]+$/);
        expect(id).toMatch(/^[a-z2-7]{16}$/);
        const key = hasKey ? randomText(keyLength) : undefined;
        const path = writePath({ sealed, key });
        expect(texts.read(path.slice('/login/'.length))).toEqual({ ...begun, id, sealed, key });
      }),
    );
    const shown = texts.begin({ ...fields, device: 'laptop-of-jane', address: '49.50.51.52' });
    expect(Buffer.from(shown.sealed, 'base64url').toString('latin1')).not.toMatch(/laptop|1234/);
  });

  test('has an id of its own: two logins, or two visits, never have the same', () => {
    const challenge = shortenChallenge(secretDigest('another verifier'));
    const changes = [{}, { challenge }, { port: 1 }, { manages: {} }, { manages: {} }];
    const ids = changes.map((change) => texts.begin({ ...fields, ...change }).id);
    expect(new Set(ids).size).toBe(changes.length);
    expect(texts.begin(fields)).toEqual(attempt);
  });

  test('has at most 100 characters with the URL of a login server of 30', () => {
    const cluster = 'c'.repeat(63);
    const short = createTexts('A', () => at, '', [cluster]);
    for (const address of ['255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'])
      expect(
        `https://login.example.com:8444${writePath(short.begin({ ...fields, address, cluster, port: 65_535 }))}`,
      ).toHaveLength(100);
    const long = { device: 'd'.repeat(64), username: 'u'.repeat(256) };
    expect(texts.begin({ ...fields, ...long }).sealed.length).toBeLessThan(512);
  });

  test('has one spelling: any other text is refused', () => {
    const { sealed } = attempt;
    const bytes = Buffer.from(sealed, 'base64url');
    const key = 'a'.repeat(keyLength);
    expect(texts.read(`${sealed}.${key}`)).toEqual({ ...attempt, key });
    for (const other of [
      `${sealed}=`,
      `${sealed} `,
      `${sealed}A`,
      sealed.slice(0, -1),
      sealed.slice(0, 10),
      bytes.toString('base64').replaceAll('=', '').replace(/^/, '+'),
      bytes.toString('hex'),
      `%${sealed}`,
      '',
      '.',
      `${sealed}.`,
      `${sealed}.${key}a`,
      `${sealed}.${key}.`,
      `${sealed}.${key.toUpperCase()}`,
      `.${key}`,
    ])
      expect([other, texts.read(other)]).toEqual([other, 'expired']);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    // Also the last character, of which some bits say nothing.
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.constantFrom(...alphabet), (index, letter) => {
        const other = sealed.slice(0, index) + letter + sealed.slice(index + 1);
        expect(texts.read(other)).toEqual(other === sealed ? attempt : 'expired');
      }),
      { numRuns: 500 },
    );
    for (const letter of alphabet) {
      const other = sealed.slice(0, -1) + letter;
      expect(texts.read(other)).toEqual(other === sealed ? attempt : 'expired');
    }
  });

  test('is read by each key of the config, and by no other key, place or purpose', () => {
    const { sealed } = attempt;
    expect(createTexts('BA').read(sealed)).toEqual(attempt);
    expect(createTexts('A').read(createTexts('BA').begin(fields).sealed)).toBe('expired');
    expect(createTexts('B').read(sealed)).toBe('expired');
    expect(createTexts('A', () => at, 'other:').read(sealed)).toBe('expired');
    expect(texts.readBrowser('', sealed)).toBeUndefined();
    expect(texts.read(texts.writeBrowser('', { secret: 'x' }))).toBe('expired');
    expect(() => createTexts('').begin(fields)).toThrow('no key');
  });

  test('is read until its end, and not at its end', () => {
    let now = at;
    const clocked = createTexts('A', () => now);
    now = attempt.until - 1;
    expect(clocked.read(attempt.sealed)).toEqual(attempt);
    now = attempt.until;
    expect(clocked.read(attempt.sealed)).toBe('expired');
    // A URL has whole seconds: none is valid for longer than it was begun for.
    expect(texts.begin({ ...fields, until: attempt.until + 999 })).toEqual(attempt);
  });

  test('is for a cluster of the config, and never for another one whose short digest is the same', () => {
    expect(createTexts('A', () => at, '', ['staging', 'prod']).read(attempt.sealed)).toEqual(
      attempt,
    );
    for (const names of [[], ['staging']])
      expect(createTexts('A', () => at, '', names).read(attempt.sealed)).toBe('unknown-cluster');
    // SHA-256 of both begins with the same 32 bits.
    const namesakes = ['c17439', 'c24164'];
    const { sealed } = createTexts('A').begin({ ...fields, cluster: 'c17439' });
    expect(createTexts('A', () => at, '', ['c17439']).read(sealed)).toMatchObject({
      cluster: 'c17439',
    });
    expect(createTexts('A', () => at, '', namesakes).read(sealed)).toBe('unknown-cluster');
  });

  test('has the network of an address of IPv6', () => {
    const readAddress = (address: string) => texts.read(texts.begin({ ...fields, address }).sealed);
    expect(readAddress('2001:db8:0:1:2:3:4:5')).toMatchObject({ address: '2001:db8:0:1::/64' });
    expect(readAddress('::ffff:192.0.2.1')).toMatchObject({ address: '192.0.2.1' });
  });
});

describe('what a browser knows of an attempt', () => {
  const earlier = { provider: 'okta', attempt: 'x', state: 's', nonce: 'n', verifier: 'v' };
  const flow = { ...earlier, revision: 1 };

  test('is read if an earlier version wrote it, and any revocation ends its login', () => {
    const written = { secret: 'one', flow: earlier } as BrowserState;
    expect(texts.readBrowser('id', texts.writeBrowser('id', written))).toEqual({
      secret: 'one',
      flow: { ...earlier, revision: 0 },
    });
  });

  test('is read for this attempt alone', () => {
    fc.assert(
      fc.property(text, text, text, fc.boolean(), (id, other, secret, hasFlow) => {
        const state = hasFlow ? { secret, flow } : { secret, login: other };
        const sealed = texts.writeBrowser(id, state);
        expect(sealed).toMatch(/^[\w-]+$/);
        expect(texts.readBrowser(id, sealed)).toEqual(state);
        if (other !== id) expect(texts.readBrowser(other, sealed)).toBeUndefined();
        expect(createTexts('B').readBrowser(id, sealed)).toBeUndefined();
        expect(texts.readBrowser(id, `${sealed}=`)).toBeUndefined();
      }),
    );
  });

  test('gives its forms a token that no other attempt or browser has', () => {
    const state = { secret: 'one' };
    const token = formToken('id', state);
    expect(isFormToken(token, 'id', { ...state, flow })).toBe(true);
    for (const [given, id, own] of [
      [token, 'other', state],
      [token, 'id', { secret: 'other' }],
      [`${token}A`, 'id', state],
      ['', 'id', state],
    ] as const)
      expect(isFormToken(given, id, own)).toBe(false);
    expect(token).not.toContain(state.secret);
  });

  test('has half of the secret of a login, and the path has the other half', () => {
    const [state, proved] = [{ secret: 'one', login: 'l' }, { key: 'k' }];
    expect(findLoginSecret(proved, state)).toBe('l.k');
    expect(findLoginSecret({}, state)).toBeUndefined();
    expect(findLoginSecret(proved, { login: undefined })).toBeUndefined();
  });
});

test('a verifier fits the challenge that RFC 7636 computes of it', () => {
  // Appendix B.
  const [verifier, challenge] = [
    'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  ];
  const short = shortenChallenge(challenge);
  expect(Buffer.from(short, 'base64url')).toEqual(
    Buffer.from(challenge, 'base64url').subarray(0, 16),
  );
  expect(isVerifier(verifier, short)).toBe(true);
  for (const other of ['', `${verifier}A`, challenge, verifier.toLowerCase()])
    expect(isVerifier(other, short)).toBe(false);
  // A visit has no client.
  expect(isVerifier(verifier, '')).toBe(false);
});

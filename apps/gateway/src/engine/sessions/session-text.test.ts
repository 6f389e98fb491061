import { randomBytes } from 'node:crypto';
import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSessionTexts, type Session } from './session-text.ts';

const [one, other] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(32))];
const digest = 'a'.repeat(64);
const session: Session = {
  authenticator: 'corp',
  username: 'alice',
  uid: '7',
  name: 'corp:alice',
  since: 1_000,
  until: 2_000,
  cluster: 'prod',
  audience: 'https://prod.example.com',
  device: 'laptop',
  address: '192.0.2.1',
};

const name = fc.string({ unit: anyCharacter, minLength: 1, maxLength: 20 });
const anyProvider = fc.record(
  {
    name,
    issuer: name,
    clientId: name,
    groups: fc.array(name),
    // No key of extra comes from a token: the config names each.
    extra: fc.dictionary(
      name.filter((key) => key !== '__proto__'),
      fc.array(name),
      { noNullPrototype: true },
    ),
    credential: fc.record({ jti: name, sid: name }, { requiredKeys: [] }),
    acr: name,
    amr: fc.array(name),
    authTime: fc.nat(),
  },
  { requiredKeys: ['name', 'issuer', 'clientId'] },
);
const anySession: fc.Arbitrary<Session> = fc.record(
  {
    authenticator: name,
    username: name,
    uid: name,
    name,
    since: fc.nat(),
    until: fc.nat(),
    cluster: name,
    audience: name,
    device: name,
    address: name,
    provider: anyProvider,
  },
  { requiredKeys: ['authenticator', 'username', 'name', 'since', 'until', 'address'] },
);

describe.each([
  { what: 'sealed', keys: [one] },
  { what: 'without a key', keys: [] },
] as const)('a text that is $what', ({ keys }) => {
  test('has the session that it was made from', () => {
    const texts = createSessionTexts(keys);
    fc.assert(
      fc.property(anySession, (any) => {
        expect(texts.read(digest, texts.write(digest, any))).toEqual(any);
      }),
    );
  });

  test.each(['', 's1.', 'p1.', 'x', `p1.${Buffer.from('{}').toString('base64url')}`, 'p1.!'])(
    '%j is none',
    (text) => {
      expect(createSessionTexts(keys).read(digest, text)).toBeUndefined();
    },
  );
});

describe('with a key', () => {
  const texts = createSessionTexts([one]);

  test('a text is for one token, and shows nothing', () => {
    const text = texts.write(digest, session);
    expect(texts.read('b'.repeat(64), text)).toBeUndefined();
    expect(Buffer.from(text.slice(3), 'base64url').toString('latin1')).not.toContain('alice');
  });

  // Which changes open no seal is proven in `engine/sealing/seal.test.ts`.
  test('a changed text is none', () => {
    const bytes = Buffer.from(texts.write(digest, session).slice(3), 'base64url');
    bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
    expect(texts.read(digest, `s1.${bytes.toString('base64url')}`)).toBeUndefined();
  });

  test('a text without a seal is none, and neither is one of another key', () => {
    expect(texts.read(digest, createSessionTexts([]).write(digest, session))).toBeUndefined();
    expect(texts.read(digest, createSessionTexts([other]).write(digest, session))).toBeUndefined();
  });

  test('a key can be changed: the first seals, all open', () => {
    const [before, both, after] = [
      texts,
      createSessionTexts([other, one]),
      createSessionTexts([other]),
    ];
    expect(both.read(digest, before.write(digest, session))).toEqual(session);
    expect(after.read(digest, both.write(digest, session))).toEqual(session);
  });
});

test('without a key, a sealed text is none', () => {
  expect(
    createSessionTexts([]).read(digest, createSessionTexts([one]).write(digest, session)),
  ).toBeUndefined();
});

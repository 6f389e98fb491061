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

  test.each([
    '',
    'x',
    's2.',
    's2.plain.1000.',
    's2.plain.1000.!',
    's2.plain..e30',
    `s2.plain.1000.${Buffer.from('{}').toString('base64url')}`,
    `s2.${'a'.repeat(16)}.1000.e30`,
  ])('%j is none', (text) => {
    expect(createSessionTexts(keys).read(digest, text)).toBeUndefined();
  });
});

const bodyOf = (text: string) => Buffer.from(text.split('.')[3] ?? '', 'base64url');

describe('with a key', () => {
  const texts = createSessionTexts([one]);

  test('a text is for one token, and shows nothing', () => {
    const text = texts.write(digest, session);
    expect(texts.read('b'.repeat(64), text)).toBeUndefined();
    expect(bodyOf(text).toString('latin1')).not.toContain('alice');
  });

  // Which changes open no seal is proven in `engine/sealing/seal.test.ts`.
  test('a changed text is none', () => {
    const text = texts.write(digest, session);
    const bytes = bodyOf(text);
    bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
    const [format, tag, time] = text.split('.');
    for (const changed of [
      [format, tag, time, bytes.toString('base64url')],
      [format, tag, `${time}0`, bodyOf(text).toString('base64url')],
    ])
      expect(texts.read(digest, changed.join('.'))).toBeUndefined();
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

describe('a key', () => {
  const start = 1_000_000_000_000;
  /** Makes the texts of a replica that has loaded its config 1 s after the start. */
  const load = (...keys: Uint8Array[]) => {
    let time = start + 1_000;
    const texts = createSessionTexts(keys, () => time);
    const wait = (milliseconds: number) => {
      time += milliseconds;
    };
    return { ...texts, wait };
  };
  const writeAt = (time: number, ...keys: Uint8Array[]) =>
    createSessionTexts(keys, () => time).write(digest, session);

  test.each([
    { what: 'another one', written: [other], loaded: [one] },
    { what: 'none', written: [one], loaded: [] },
    { what: 'the first one', written: [], loaded: [one] },
  ])('was removed if it sealed a text before the config with $what instead', (keys) => {
    const { isKeyRemoved } = load(...keys.loaded);
    expect(isKeyRemoved(writeAt(start, ...keys.written))).toBe(true);
  });

  test('might be one that other replicas got first, until 10 minutes have passed', () => {
    const { isKeyRemoved, wait } = load(one);
    const newer = writeAt(start + 1_000, other);
    expect(isKeyRemoved(newer)).toBe(false);
    wait(600_000);
    expect(isKeyRemoved(newer)).toBe(false);
    wait(1);
    expect(isKeyRemoved(newer)).toBe(true);
  });

  test('that the config has was not removed, even if a text does not open with it', () => {
    const { isKeyRemoved } = load(other, one);
    const text = writeAt(start, one);
    expect([text, `${text}A`].map(isKeyRemoved)).toEqual([false, false]);
  });

  test('of a text that no gateway wrote was not removed', () => {
    const { isKeyRemoved } = load(one);
    for (const text of ['', 's2.', `s1.${bodyOf(writeAt(start, other)).toString('base64url')}`])
      expect(isKeyRemoved(text)).toBe(false);
  });
});

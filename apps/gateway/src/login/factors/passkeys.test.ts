import { randomBytes } from 'node:crypto';
import { createPasskey, type Passkey } from '@sallyport/test-servers/passkey';
import { beforeEach, describe, expect, test } from 'vitest';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import { createPasskeys } from './passkeys.ts';
import { enrolled, factorParts, jane, max, start } from './testing/factor-parts.ts';

const file = redisOfFile();
const clock = { now: start };
const lines: object[] = [];
beforeEach(() => {
  clock.now = start;
  lines.length = 0;
});

const origin = 'https://login.example.com:8444';

/** The parts of one user with an app, who may add passkeys. */
async function begun(user = jane) {
  const parts = factorParts(file.opened.redis, clock);
  const passkeys = createPasskeys({
    publicUrl: origin,
    store: parts.store,
    logger: { warn: (fields, message) => void lines.push({ ...fields, message }) },
    now: () => clock.now,
  });
  await enrolled(parts, clock, user);
  const record = async () => {
    const read = await parts.store.read(user);
    if (read === undefined) throw new Error('there is no record');
    return read;
  };
  const { id, version } = await record();
  const grant = { record: id, version };
  return {
    ...parts,
    passkeys,
    record,
    grant,
    /** Adds a key as the page does. */
    async add(key: Passkey, changes = {}) {
      const { challenge, options } = passkeys.beginRegistration(user, await record());
      const made = await passkeys.finishRegistration(challenge, key.create(options, changes));
      if (made.kind === 'wrong') return made;
      return parts.enrolment.addPasskey(user, grant, { ...made.key, name: 'laptop' });
    },
    /** Uses a key as the page does. */
    async use(key: Passkey, changes = {}) {
      const read = await record();
      const { challenge, options } = passkeys.beginAuthentication(read);
      return passkeys.finishAuthentication(user, read, challenge, key.get(options, changes));
    },
  };
}

describe('a new passkey', () => {
  test('is asked for with the host of the login server, and without the keys that the user has', async () => {
    const parts = await begun();
    const key = createPasskey(origin);
    await parts.add(key);
    const record = await parts.record();
    const { challenge, options } = parts.passkeys.beginRegistration(jane, record);
    expect(options).toMatchObject({
      rp: { id: 'login.example.com' },
      user: { id: Buffer.from(record.id).toString('base64url'), name: 'corp:jane' },
      attestation: 'none',
      excludeCredentials: [{ id: key.id, type: 'public-key', transports: ['internal'] }],
      authenticatorSelection: { userVerification: 'required' },
    });
    expect(options.challenge).toBe(challenge);
    expect(Buffer.from(challenge, 'base64url')).toHaveLength(32);
    const again = parts.passkeys.beginRegistration(jane, record);
    expect(again.challenge).not.toBe(challenge);
  });

  test('is added with what is known of it', async () => {
    const parts = await begun();
    const [own, synced] = [createPasskey(origin), createPasskey(origin, true)];
    expect(await parts.add(own, { counter: 7 })).toMatchObject({ kind: 'added' });
    expect(await parts.add(synced)).toMatchObject({ kind: 'added' });
    const transports = ['internal'];
    expect((await parts.record()).passkeys).toMatchObject([
      { credential: own.id, name: 'laptop', counter: 7, isSynced: false, transports },
      { credential: synced.id, counter: 0, isSynced: true },
    ]);
    expect(await parts.add(own)).toEqual({ kind: 'duplicate' });
  });

  test.each([
    {
      name: 'for another challenge',
      changes: { challenge: randomBytes(32).toString('base64url') },
      reason: 'challenge',
    },
    {
      name: 'of another origin',
      changes: { origin: 'https://evil.example.com' },
      reason: 'origin',
    },
    { name: 'of another port', changes: { origin: 'https://login.example.com' }, reason: 'origin' },
    { name: 'for another host', changes: { rpId: 'example.com' }, reason: 'rp-id' },
    {
      name: 'without a PIN or a finger',
      changes: { isVerified: false },
      reason: 'user-verification',
    },
    { name: 'without a touch', changes: { isPresent: false }, reason: 'user-verification' },
    { name: 'that is an answer of a key', changes: { type: 'webauthn.get' }, reason: 'type' },
    {
      name: 'with a certificate, which the library could look up elsewhere',
      changes: { format: 'packed', statement: new Map([['x5c', [randomBytes(8)]]]) },
      reason: 'attestation',
    },
    {
      name: 'of a kind that has certificates',
      changes: { format: 'android-key' },
      reason: 'attestation',
    },
    {
      name: 'with a statement that no key has signed',
      changes: {
        format: 'packed',
        statement: new Map<string, unknown>([['sig', randomBytes(64)]]),
      },
      reason: 'unreadable',
    },
    { name: 'whose ID is another one', changes: { id: '!' }, reason: 'unreadable' },
  ])('$name is refused', async ({ changes, reason }) => {
    const parts = await begun();
    expect(await parts.add(createPasskey(origin), changes)).toEqual({ kind: 'wrong', reason });
    expect((await parts.record()).passkeys).toEqual([]);
  });

  test.each(['', '{}', 'null', '[', '{"id":"YQ","rawId":"YQ","type":"public-key"}', '"a"'])(
    'that is %j is refused',
    async (response) => {
      const { passkeys } = await begun();
      const refused = { kind: 'wrong', reason: 'unreadable' };
      expect(await passkeys.finishRegistration('YQ', response)).toEqual(refused);
    },
  );

  test('whose bytes are garbage is refused', async () => {
    const parts = await begun();
    const { challenge, options } = parts.passkeys.beginRegistration(jane, await parts.record());
    const response = JSON.parse(createPasskey(origin).create(options));
    const attestation = Buffer.from(response.response.attestationObject, 'base64url');
    for (let at = 0; at < attestation.length; at += 7) {
      const damaged = Buffer.from(attestation);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      const attestationObject = damaged.subarray(0, attestation.length - (at % 3));
      const json = JSON.stringify({
        ...response,
        response: {
          ...response.response,
          attestationObject: attestationObject.toString('base64url'),
        },
      });
      // A changed byte of the public key makes another key, which fits no answer of this one.
      const { kind } = await parts.passkeys.finishRegistration(challenge, json);
      expect(['wrong', 'right']).toContain(kind);
    }
  });
});

describe('a passkey', () => {
  test('is asked for by the keys of the user', async () => {
    const parts = await begun();
    const [first, second] = [createPasskey(origin), createPasskey(origin)];
    await parts.add(first);
    await parts.add(second);
    const { challenge, options } = parts.passkeys.beginAuthentication(await parts.record());
    expect(options).toMatchObject({
      challenge,
      rpId: 'login.example.com',
      userVerification: 'required',
      allowCredentials: [{ id: first.id }, { id: second.id }],
    });
  });

  test('is right, and its use is noted', async () => {
    const parts = await begun();
    const key = createPasskey(origin);
    await parts.add(key);
    clock.now += 1000;
    const userHandle = Buffer.from((await parts.record()).id).toString('base64url');
    expect(await parts.use(key, { counter: 1, userHandle })).toMatchObject({
      kind: 'right',
      key: { credential: key.id, counter: 1, usedAt: clock.now },
    });
    expect((await parts.record()).passkeys).toMatchObject([{ counter: 1, usedAt: clock.now }]);
    expect(lines).toEqual([]);
  });

  test.each([
    { name: 'without a counter', counters: [0, 0, 0], warnings: 0 },
    { name: 'with a counter that rises', counters: [1, 2, 9], warnings: 0 },
    { name: 'whose counter falls', counters: [5, 3, 4], warnings: 1 },
    { name: 'whose counter stays', counters: [5, 5], warnings: 1 },
  ])('$name is right', async ({ counters, warnings }) => {
    const parts = await begun();
    const key = createPasskey(origin, true);
    await parts.add(key);
    for (const counter of counters)
      expect(await parts.use(key, { counter })).toMatchObject({ kind: 'right', key: { counter } });
    const line = { authenticator: 'corp', username: 'corp:jane', passkey: 'laptop' };
    const message = 'counter of a passkey did not rise: it may have been copied';
    expect(lines).toEqual(Array.from({ length: warnings }, () => ({ ...line, message })));
  });

  test.each([
    {
      name: 'for another challenge',
      changes: { challenge: randomBytes(32).toString('base64url') },
      reason: 'challenge',
    },
    {
      name: 'of another origin',
      changes: { origin: 'https://evil.example.com' },
      reason: 'origin',
    },
    {
      name: 'of our host without TLS',
      changes: { origin: 'http://login.example.com:8444' },
      reason: 'origin',
    },
    { name: 'for another host', changes: { rpId: 'example.com' }, reason: 'rp-id' },
    {
      name: 'without a PIN or a finger',
      changes: { isVerified: false },
      reason: 'user-verification',
    },
    { name: 'without a touch', changes: { isPresent: false }, reason: 'user-verification' },
    { name: 'that is a new key', changes: { type: 'webauthn.create' }, reason: 'type' },
    {
      name: 'for another user',
      changes: { userHandle: Buffer.from('other').toString('base64url') },
      reason: 'unknown-key',
    },
  ])('$name is refused', async ({ changes, reason }) => {
    const parts = await begun();
    const key = createPasskey(origin);
    await parts.add(key);
    expect(await parts.use(key, changes)).toEqual({ kind: 'wrong', reason });
    expect((await parts.record()).passkeys[0]?.usedAt).toBeUndefined();
  });

  test('of another user, and one that was never added, is refused', async () => {
    const [mine, other] = [await begun(), await begun(max)];
    const [key, foreign] = [createPasskey(origin), createPasskey(origin)];
    await mine.add(key);
    await other.add(foreign);
    const refused = { kind: 'wrong', reason: 'unknown-key' };
    expect(await mine.use(foreign)).toEqual(refused);
    expect(await mine.use(createPasskey(origin))).toEqual(refused);
    // It has signed for itself, and says that it is another one.
    expect(await mine.use(foreign, { id: key.id })).toEqual({ kind: 'wrong', reason: 'signature' });
  });

  test('that was removed, or whose user was reset since the page was shown, is refused', async () => {
    const parts = await begun();
    const [key, other] = [createPasskey(origin), createPasskey(origin)];
    await parts.add(key);
    await parts.add(other);
    const read = await parts.record();
    const { challenge, options } = parts.passkeys.beginAuthentication(read);
    const finish = (one: Passkey) =>
      parts.passkeys.finishAuthentication(jane, read, challenge, one.get(options));
    const [{ id } = { id: '' }] = read.passkeys;
    await parts.enrolment.remove(jane, parts.grant, id);
    const refused = { kind: 'wrong', reason: 'unknown-key' };
    expect(await finish(key)).toEqual(refused);
    await parts.store.remove(jane);
    expect(await finish(other)).toEqual(refused);
    expect(await parts.store.read(jane)).toBeUndefined();
    // The same key was added again. What was shown before the reset is not about it.
    const after = await begun();
    await after.add(other);
    expect(await finish(other)).toEqual(refused);
  });

  test.each(['', '{}', '7', '{"id":"YQ","rawId":"YQ","type":"public-key","response":{}}'])(
    'that is %j is refused',
    async (response) => {
      const parts = await begun();
      const refused = { kind: 'wrong', reason: 'unreadable' };
      const read = await parts.record();
      expect(await parts.passkeys.finishAuthentication(jane, read, 'YQ', response)).toEqual(
        refused,
      );
    },
  );
});

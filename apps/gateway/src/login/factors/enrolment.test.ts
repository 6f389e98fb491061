import { beforeEach, describe, expect, test } from 'vitest';
import { keyPrefix } from '../../engine/shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import { createInvitation, type FactorGrant } from './enrolment.ts';
import {
  enrolled,
  factorParts,
  jane,
  max,
  start,
  type TestedParts,
} from './testing/factor-parts.ts';
import { computeCode, stepAt } from './totp.ts';

const file = redisOfFile();
const clock = { now: start };
const login = { since: start, revision: 7 };
let parts: TestedParts;
beforeEach(() => {
  clock.now = start;
  parts = factorParts(file.opened.redis, clock);
});

const ended = { kind: 'ended' };
const grantOf = async (invitation?: string, user = jane) =>
  parts.enrolment.grant(await parts.store.read(user), invitation);
const record = () => parts.store.read(jane);

/** The grant of a new invitation. */
async function invited(user = jane): Promise<FactorGrant> {
  const grant = await grantOf(await parts.invite(user), user);
  if (grant === undefined) throw new Error('the invitation gives no grant');
  return grant;
}
/** The grant of a user who has proved a factor. */
async function proven(): Promise<FactorGrant> {
  const grant = await grantOf();
  if (grant === undefined) throw new Error('the user has no factor');
  return grant;
}
const key = (name: string) => ({
  name,
  credential: `credential of ${name}`,
  publicKey: 'p',
  counter: 0,
  transports: [],
  isSynced: false,
});
const addKey = (grant: FactorGrant, name: string, user = jane) =>
  parts.enrolment.addPasskey(user, grant, key(name));

describe('an invitation', () => {
  test('is typed by people, and gives a grant to its user alone', async () => {
    const invitation = await parts.invite();
    await parts.invite(max);
    expect(invitation).toMatch(/^[a-z2-7]{16}$/);
    const spelled = ` ${invitation.slice(0, 4)}-${invitation.slice(4).toUpperCase()} `;
    expect(await grantOf(spelled)).toEqual(await grantOf(invitation));
    expect(await grantOf(invitation)).toBeDefined();
    for (const wrong of ['', invitation.slice(1), `${invitation}a`, '----'])
      expect(await grantOf(wrong)).toBeUndefined();
    expect(await grantOf(invitation, max)).toBeUndefined();
    expect(parts.enrolment.grant(undefined, invitation)).toBeUndefined();
    // What Redis has of it is not the invitation.
    const { digest = '' } = (await record())?.invitation ?? {};
    expect(await grantOf(digest)).toBeUndefined();
  });

  test('is used up by the factor that it adds, which says who invited', async () => {
    const invitation = await parts.invite();
    const grant = (await grantOf(invitation)) ?? ended;
    const added = await addKey(grant as FactorGrant, 'one');
    expect(added).toMatchObject({
      kind: 'added',
      factor: { method: 'passkey', name: 'one' },
      invitedBy: 'root',
      recoveryCodes: expect.any(Array),
    });
    expect(await record()).not.toHaveProperty('invitation');
    expect(await grantOf(invitation)).toBeUndefined();
    expect(await addKey(grant as FactorGrant, 'two')).toEqual(ended);
    expect((await record())?.passkeys).toHaveLength(1);
  });

  test('adds one factor, of several that are added at one moment', async () => {
    for (let round = 0; round < 20; round += 1) {
      const grant = await invited();
      const results = await Promise.all(
        ['a', 'b', 'c'].map((name) => addKey(grant, `${name}${round}`)),
      );
      expect(results.map(({ kind }) => kind).toSorted()).toEqual(['added', 'ended', 'ended']);
      await parts.store.remove(jane);
    }
  });

  test('ends at its time, by another one, and by a reset', async () => {
    const first = await parts.invite();
    const ofFirst = await grantOf(first);
    const second = await parts.invite();
    const ofSecond = await grantOf(second);
    if (ofFirst === undefined || ofSecond === undefined) throw new Error('there is no grant');
    expect(await grantOf(first)).toBeUndefined();
    expect(await addKey(ofFirst, 'one')).toEqual(ended);
    clock.now += 60_000;
    expect(await grantOf(second)).toBeUndefined();
    expect(await addKey(ofSecond, 'one')).toEqual(ended);
    clock.now -= 1;
    expect(await grantOf(second)).toEqual(ofSecond);
    await parts.store.remove(jane);
    expect(await addKey(ofSecond, 'one')).toEqual(ended);
    await parts.invite();
    expect(await addKey(ofSecond, 'one')).toEqual(ended);
    expect(await record()).toMatchObject({ passkeys: [], totp: [] });
  });

  test('leaves nothing behind in Redis if no one accepts it', async () => {
    const lifetime = 60_000;
    await createInvitation(
      parts.store,
      jane,
      { by: 'root', reason: 'new', until: clock.now + lifetime },
      clock.now,
    );
    expect((await record())?.invitation).toMatchObject({ by: 'root', reason: 'new' });
    const [stored = ''] = await file.redis.client().keys(`${keyPrefix}factor:*`);
    const left = await file.redis.client().pttl(stored);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(lifetime);
  });

  test('of a user with factors removes none, and does not end with the record', async () => {
    const app = await enrolled(parts, clock);
    const before = await record();
    const invitation = await parts.invite();
    expect(await record()).toMatchObject({ ...before, invitation: { by: 'root' } });
    const [stored = ''] = await file.redis.client().keys(`${keyPrefix}factor:*`);
    expect(await file.redis.client().pttl(stored)).toBe(-1);
    clock.now += 60_000;
    expect(await grantOf(invitation)).toBeUndefined();
    expect(await parts.check(app.code())).toMatchObject({ kind: 'right' });
  });

  test('is not written over a record that is foreign', async () => {
    await parts.invite();
    const [stored = ''] = await file.redis.client().keys(`${keyPrefix}factor:*`);
    await file.redis.client().set(stored, 'garbage');
    await expect(parts.invite()).rejects.toThrow();
    expect(await file.redis.client().get(stored)).toBe('garbage');
  });
});

describe('the right to change factors', () => {
  test('needs a factor or an invitation: the password alone gives none', async () => {
    expect(await grantOf()).toBeUndefined();
    await parts.invite();
    // A record with an invitation is not a factor.
    expect(await grantOf()).toBeUndefined();
    const id = (await record())?.id ?? '';
    for (const forged of [{ record: id }, { record: id, invitation: '' }, { record: '' }])
      expect(await addKey({ version: 0, ...forged }, 'one')).toEqual(ended);
    expect((await record())?.passkeys).toEqual([]);
    await enrolled(parts, clock);
    // There is no invitation left, and '' is not the digest of one.
    const later = (await record())?.id ?? '';
    expect(await addKey({ record: later, version: 0, invitation: '' }, 'one')).toEqual(ended);
  });

  test('of one user is none at the record of another one', async () => {
    await enrolled(parts, clock);
    await enrolled(parts, clock, max);
    const grant = await proven();
    expect(await addKey(grant, 'one', max)).toEqual(ended);
    expect(await addKey(grant, 'one')).toMatchObject({ kind: 'added', invitedBy: undefined });
  });

  test('ends by a reset, for every change', async () => {
    const { factor } = await enrolled(parts, clock);
    const grant = await proven();
    await parts.store.remove(jane);
    await enrolled(parts, clock);
    expect([
      await addKey(grant, 'one'),
      await parts.enrolment.remove(jane, grant, factor.id),
      await parts.enrolment.renewRecoveryCodes(jane, grant),
    ]).toEqual([ended, ended, ended]);
  });

  test('lasts while there are factors, and what it adds uses up an open invitation, too', async () => {
    await enrolled(parts, clock);
    const grant = await proven();
    const invitation = await parts.invite();
    expect(await addKey(grant, 'a')).toMatchObject({ kind: 'added', invitedBy: undefined });
    expect(await grantOf(invitation)).toBeUndefined();
    expect(await addKey(grant, 'b')).toMatchObject({ kind: 'added' });
    expect(await record()).toMatchObject({ totp: [{}], passkeys: [{}, {}] });
  });
});

describe('factors', () => {
  test('are at most 3 apps and 10 passkeys, and each passkey is there once', async () => {
    for (let count = 0; count < 3; count += 1) await enrolled(parts, clock);
    await expect(enrolled(parts, clock)).rejects.toThrow('too-many');
    const grant = await proven();
    expect(await addKey(grant, 'key 0')).toMatchObject({ kind: 'added' });
    expect(await addKey(grant, 'key 0')).toEqual({ kind: 'duplicate' });
    for (let count = 1; count < 10; count += 1)
      expect(await addKey(grant, `key ${count}`)).toMatchObject({ kind: 'added' });
    expect(await addKey(grant, 'key 10')).toEqual({ kind: 'too-many' });
    expect(await record()).toMatchObject({ totp: [{}, {}, {}] });
    expect((await record())?.passkeys).toHaveLength(10);
  });

  test('are removed one by one, but for the last', async () => {
    const { factor } = await enrolled(parts, clock);
    const grant = await proven();
    const added = await addKey(grant, 'one');
    if (added.kind !== 'added') throw new Error('the passkey was not added');
    const remove = (id: string, given = grant) => parts.enrolment.remove(jane, given, id);
    expect(await remove('unknown')).toEqual({ kind: 'unknown' });
    const removed = await remove(factor.id);
    if (removed.kind !== 'removed') throw new Error('the app was not removed');
    expect(await remove(factor.id, removed.grant)).toEqual({ kind: 'unknown' });
    expect(await remove(added.factor.id, removed.grant)).toEqual({ kind: 'last' });
    expect(await record()).toMatchObject({ totp: [], passkeys: [{ name: 'one' }] });
  });

  test('that are removed end every other right, which they may have given', async () => {
    const { factor } = await enrolled(parts, clock);
    const stolen = await proven();
    const begun = parts.apps.read(parts.apps.begin(jane, stolen, 'phone', login).enrolment);
    if (begun === undefined) throw new Error('it can be read');
    const own = await proven();
    await addKey(own, 'one');
    expect(await parts.enrolment.remove(jane, own, factor.id)).toMatchObject({ kind: 'removed' });
    const code = computeCode(Buffer.from(begun.secret, 'base64url'), stepAt(clock.now));
    expect(await parts.apps.finish(begun, code)).toEqual(ended);
    expect(await addKey(stolen, 'two')).toEqual(ended);
    const renewed = await parts.enrolment.renewRecoveryCodes(jane, await proven());
    expect(renewed).toMatchObject({ kind: 'renewed' });
    expect(await addKey(own, 'three')).toEqual(ended);
    expect((await record())?.passkeys).toHaveLength(1);
  });

  test('are added by an invitation, and nothing else: it would stay valid', async () => {
    const { factor } = await enrolled(parts, clock);
    await addKey(await proven(), 'one');
    const before = await record();
    const invitation = await parts.invite();
    const invited = parts.enrolment.grant(await record(), invitation);
    if (invited === undefined) throw new Error('the invitation gives no grant');
    expect(await parts.enrolment.remove(jane, invited, factor.id)).toEqual(ended);
    expect(await parts.enrolment.renewRecoveryCodes(jane, invited)).toEqual(ended);
    expect((await record())?.recovery).toEqual(before?.recovery);
    const added = await addKey(invited, 'two');
    if (added.kind !== 'added') throw new Error('the passkey was not added');
    expect(await parts.enrolment.remove(jane, added.grant, factor.id)).toMatchObject({
      kind: 'removed',
    });
  });

  test('of two that are removed at one moment, one stays', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { factor } = await enrolled(parts, clock);
      const grant = await proven();
      const added = await addKey(grant, 'one');
      const ids = [factor.id, added.kind === 'added' ? added.factor.id : ''];
      const results = await Promise.all(ids.map((id) => parts.enrolment.remove(jane, grant, id)));
      expect(results.map(({ kind }) => kind).toSorted()).toEqual(['ended', 'removed']);
      await parts.store.remove(jane);
    }
  });

  test('that are new end a lock of codes', async () => {
    await enrolled(parts, clock);
    await parts.store.change(jane, (one) => ({
      record: one && { ...one, wrongCodes: 100 },
      result: undefined,
    }));
    const app = await enrolled(parts, clock);
    expect(await parts.check(app.code())).toMatchObject({ kind: 'right' });
  });
});

describe('recovery codes', () => {
  test('are made with the first factor, are kept by further ones, and are made again when none is left', async () => {
    const first = await enrolled(parts, clock);
    expect(new Set(first.recoveryCodes).size).toBe(10);
    expect((await enrolled(parts, clock)).recoveryCodes).toEqual([]);
    await parts.store.change(jane, (one) => ({
      record: one && { ...one, recovery: [] },
      result: undefined,
    }));
    const third = await enrolled(parts, clock);
    expect(third.recoveryCodes).toHaveLength(10);
    expect(await parts.check(first.recoveryCodes[0] ?? '')).toMatchObject({ kind: 'wrong' });
    expect(await parts.check(third.recoveryCodes[0] ?? '')).toMatchObject({ kind: 'right' });
  });

  test('are replaced by new ones, and are not in the record themselves', async () => {
    const { recoveryCodes: old } = await enrolled(parts, clock);
    const renewed = await parts.enrolment.renewRecoveryCodes(jane, await proven());
    if (renewed.kind !== 'renewed') throw new Error('there are no new codes');
    const all = renewed.recoveryCodes;
    expect(all).toHaveLength(10);
    const text = JSON.stringify(await record());
    for (const code of [...all, ...old])
      expect([text.includes(code), text.includes(code.replace('-', ''))]).toEqual([false, false]);
    expect(await parts.check(old[0] ?? '')).toMatchObject({ kind: 'wrong' });
    expect(await parts.check(all[0] ?? '')).toMatchObject({ kind: 'right' });
  });
});

describe('an authenticator app', () => {
  const begin = async (label = 'phone') => parts.apps.begin(jane, await invited(), label, login);
  /** An app whose codes of the next and the last hour all differ: one of them has one time. */
  async function begun(label?: string) {
    for (;;) {
      const read = parts.apps.read((await begin(label)).enrolment);
      if (read === undefined) throw new Error('the sealed enrolment can not be read');
      const secret = Buffer.from(read.secret, 'base64url');
      const code = (steps = 0) => computeCode(secret, stepAt(clock.now) + steps);
      const near = Array.from({ length: 241 }, (_, at) => code(at - 120));
      if (new Set([...near, code(500)]).size > near.length) return { read, code };
    }
  }

  test('is added by its first code, which is used up', async () => {
    const { read, code } = await begun('My phone');
    expect(await record()).toMatchObject({ totp: [] });
    expect(
      await parts.apps.finish(read, ` ${code().slice(0, 3)} ${code().slice(3)}-`),
    ).toMatchObject({
      kind: 'added',
      factor: { method: 'totp', name: 'My phone', addedAt: clock.now, usedAt: undefined },
      invitedBy: 'root',
    });
    expect(await parts.check(code())).toMatchObject({ kind: 'wrong' });
    expect(await parts.check(code(1))).toMatchObject({ kind: 'right' });
  });

  test('gets a secret of 160 bits, another one each time, in a URI that names the server', async () => {
    const [one, two] = [await begin(), await begin()];
    expect(one.secret).toMatch(/^[A-Z2-7]{32}$/);
    expect(one.secret).not.toBe(two.secret);
    expect(one.uri).toBe(
      `otpauth://totp/login.example.com:jane?secret=${one.secret}&issuer=login.example.com`,
    );
    expect(one.until).toBe(clock.now + 600_000);
    const text = one.enrolment + Buffer.from(one.enrolment, 'base64').toString('latin1');
    for (const hidden of ['jane', 'phone', one.secret]) expect(text).not.toContain(hidden);
  });

  test.each([
    { steps: -20, minutes: -10 },
    { steps: -3, minutes: -1 },
    { steps: 4, minutes: 2 },
    { steps: 120, minutes: 60 },
  ])(
    'with a clock that is $steps steps off shows by how many minutes: $minutes',
    async ({ steps, minutes }) => {
      const { read, code } = await begun();
      expect(await parts.apps.finish(read, code(steps))).toEqual({ kind: 'wrong-code', minutes });
      // It may be tried again.
      expect(await parts.apps.finish(read, code())).toMatchObject({ kind: 'added' });
    },
  );

  test('is not added by anything else, by a late code, or twice', async () => {
    const { read, code } = await begun();
    const wrong = { kind: 'wrong-code', minutes: undefined };
    expect(await parts.apps.finish(read, '')).toEqual(wrong);
    expect(await parts.apps.finish(read, code(500))).toEqual(wrong);
    const { until } = read;
    clock.now = until;
    expect(await parts.apps.finish(read, code())).toEqual({ kind: 'late' });
    clock.now = start;
    expect(await parts.apps.finish(read, code())).toMatchObject({ kind: 'added' });
    expect(await parts.apps.finish(read, code())).toEqual(ended);
    // With a factor, the grant lasts, but the same secret is not added again.
    const again = { ...read, grant: await proven() };
    expect(await parts.apps.finish(again, code())).toEqual({ kind: 'duplicate' });
    expect((await record())?.totp).toHaveLength(1);
  });

  test('is not added after a reset in between, even with another invitation', async () => {
    const { read, code } = await begun();
    await parts.store.remove(jane);
    expect(await parts.apps.finish(read, code())).toEqual(ended);
    await parts.invite();
    expect(await parts.apps.finish(read, code())).toEqual(ended);
    expect(await record()).toMatchObject({ totp: [] });
  });

  test('is begun by the gateways alone: no other text is read', async () => {
    const { enrolment } = await begin();
    const bytes = Buffer.from(enrolment, 'base64');
    bytes.writeUInt8((bytes.at(20) ?? 0) ^ 1, 20);
    const [stored = ''] = await file.redis.client().mget(await file.redis.client().keys('*'));
    for (const text of ['', 'x', '{}', enrolment.slice(4), bytes.toString('base64'), stored ?? ''])
      expect(parts.apps.read(text)).toBeUndefined();
    const { sealingKeys: _, ...rest } = file.opened.redis;
    const foreign = factorParts({ ...rest, sealingKeys: [] }, clock);
    expect(foreign.apps.read(enrolment)).toBeUndefined();
    expect(() => foreign.apps.begin(jane, { record: 'x', version: 0 }, 'phone', login)).toThrow(
      'no key',
    );
    expect(parts.apps.read(enrolment)).toMatchObject({ user: jane, label: 'phone', ...login });
  });
});

import { describe, expect, test } from 'vitest';
import { createRevocationList, type Entry } from '../engine/revocation/list.ts';
import { type BegunLogin, type LoginEnds, writeUnlessEnded } from './ended-login.ts';

const user = { username: 'corp:jane', groups: ['corp:dev'] };
const login: BegunLogin = { revision: 1, user, credential: { sid: 'session of the provider' } };

type What = Pick<Entry, 'action' | 'kind' | 'name'>;
const ofJane = { kind: 'user', name: user.username } as const;
const ends: readonly (What & { readonly reason: string })[] = [
  { action: 'revoke', ...ofJane, reason: 'revoked' },
  { action: 'revoke', kind: 'all', name: '', reason: 'revoked' },
  { action: 'block', ...ofJane, reason: 'blocked' },
  { action: 'block', kind: 'group', name: 'corp:dev', reason: 'blocked' },
  { action: 'block', kind: 'sid', name: 'session of the provider', reason: 'blocked' },
];

function createRevocations({ isUnknown = false } = {}) {
  const list = createRevocationList(
    () => 0,
    () => 0,
  );
  const publish = ({ action, kind, name }: What, revision = 2) => {
    const times = { at: 0, until: 60_000, keptUntil: 60_000 };
    list.merge([{ action, kind, name, id: `${revision}`, revision, by: 'root', ...times }]);
  };
  const [taken, refused]: [string[], string[]] = [[], []];
  const parts: LoginEnds & { refresh: () => void } = {
    refresh: () => undefined,
    revocations: {
      get revision() {
        return list.revision;
      },
      isRevoked: list.isRevoked,
      async refresh() {
        parts.refresh();
      },
    },
    blocks: {
      isUnknown,
      findByUser: list.findByUser,
      findByCredential: list.findByCredential,
      findByTokenDigest: list.findByTokenDigest,
    },
  };
  const write = (during: () => void) =>
    writeUnlessEnded(parts, login, {
      async write() {
        during();
        return 'written';
      },
      takeBack: async (written) => taken.push(written),
      refuse(reason) {
        refused.push(reason);
        return new Error('the login has ended');
      },
    });
  return { parts, publish, write, taken, refused };
}

const ended = { message: 'the login has ended' };

describe.each(ends)('a login whose user meets a $action of $kind', ({ reason, ...what }) => {
  test('before it writes writes nothing', async () => {
    const { publish, write, taken, refused } = createRevocations();
    publish(what);
    let isWritten = false;
    const written = write(() => {
      isWritten = true;
    });
    await expect(written).rejects.toMatchObject(ended);
    expect([isWritten, taken, refused]).toEqual([false, [], [reason]]);
  });

  test('while it writes gets nothing, and what it wrote is taken back', async () => {
    const { publish, write, taken, refused } = createRevocations();
    await expect(write(() => publish(what))).rejects.toMatchObject(ended);
    expect([taken, refused]).toEqual([['written'], [reason]]);
  });

  test('of which it learns when it reads the list again gets nothing', async () => {
    const { parts, publish, write, taken } = createRevocations();
    parts.refresh = () => publish(what);
    await expect(write(() => undefined)).rejects.toMatchObject(ended);
    expect(taken).toEqual(['written']);
  });
});

test('a revocation that was known before the first proof ends no login, and others end none', async () => {
  const { publish, write, taken } = createRevocations();
  publish({ action: 'revoke', ...ofJane }, 1);
  publish({ action: 'revoke', kind: 'user', name: 'corp:max' }, 2);
  expect(await write(() => publish({ action: 'block', kind: 'user', name: 'corp:max' }, 3))).toBe(
    'written',
  );
  expect(taken).toEqual([]);
});

test('while it is not known who is blocked, nothing is written', async () => {
  await expect(
    createRevocations({ isUnknown: true }).write(expect.unreachable),
  ).rejects.toMatchObject({
    status: 503,
  });
});

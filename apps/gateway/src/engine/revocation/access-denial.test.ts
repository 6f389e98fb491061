import { describe, expect, test } from 'vitest';
import { type AccessSubject, decideAccess } from './access-denial.ts';
import { createRevocationList, digestToken, type Entry } from './list.ts';

const jane: AccessSubject = { username: 'jane', groups: ['dev', 'ops'], credentialIds: [] };

function createBlocks(...subjects: readonly Pick<Entry, 'kind' | 'name'>[]) {
  const clock = { now: 1_000 };
  const list = createRevocationList(
    () => clock.now,
    () => clock.now,
  );
  const entries = subjects.map(({ kind, name }, index): Entry => {
    const revision = index + 1;
    const times = { at: 0, until: 2_000, keptUntil: 2_000 };
    return { id: `${revision}`, action: 'block', kind, name, revision, by: 'root', ...times };
  });
  list.merge(entries);
  const { findByUser, findByCredentialId } = list;
  return { clock, blocks: { findByUser, findByCredentialId, isUnknown: false, age: 500 } };
}

const noneEnded = { hasDigest: () => false };

describe('a request to the cluster', () => {
  test.each<{ name: string; block: Pick<Entry, 'kind' | 'name'>; ids?: readonly string[] }>([
    { name: 'a user', block: { kind: 'user', name: 'jane' } },
    { name: 'a group, not the first', block: { kind: 'group', name: 'ops' } },
    {
      name: 'a certificate',
      block: { kind: 'credential', name: 'X509SHA256=ab' },
      ids: ['X509SHA256=ab'],
    },
    { name: 'a jti', block: { kind: 'jti', name: 'a' }, ids: ['X509SHA256=ab', 'JTI=a'] },
    { name: 'a sid', block: { kind: 'sid', name: 'a' }, ids: ['SID=a'] },
    {
      name: 'a token',
      block: { kind: 'token', name: digestToken('t') },
      ids: [`SALLYPORT=${digestToken('t')}`],
    },
  ])('of $name that is blocked is denied until the block ends', ({ block, ids = [] }) => {
    const { blocks, clock } = createBlocks(block);
    const subject = { ...jane, credentialIds: ids };
    const decision = decideAccess(blocks, noneEnded, subject);
    expect(decision).toMatchObject({ kind: 'blocked', block });
    const other: AccessSubject = { username: 'john', groups: ['dev'], credentialIds: ['JTI=b'] };
    expect(decideAccess(blocks, noneEnded, other)).toEqual({ kind: 'no-opinion' });
    clock.now = 2_000;
    expect(decideAccess(blocks, noneEnded, subject)).toEqual({ kind: 'no-opinion' });
  });

  test('of an ended session or revoked token is denied, by its own digest alone', () => {
    const { blocks } = createBlocks();
    const ended = { hasDigest: (digest: string) => digest === 'ab' };
    const decide = (...credentialIds: string[]) =>
      decideAccess(blocks, ended, { ...jane, credentialIds }).kind;
    expect(decide('JTI=x', 'SALLYPORT=ab')).toBe('ended');
    expect(decide('JTI=ab', 'SID=ab', 'ab', 'SALLYPORT=abc')).toBe('no-opinion');
  });

  test.each([
    ['was never read', { isUnknown: true, age: Number.POSITIVE_INFINITY }],
    ['was not read since a long pause', { isUnknown: true, age: 100 }],
    ['is more than 10s old', { isUnknown: false, age: 10_001 }],
    ['is not there', { isUnknown: false, age: undefined }],
  ])('is not decided when the list %s, unless a known block denies it', (_name, state) => {
    const { blocks } = createBlocks({ kind: 'user', name: 'jane' });
    const john = { ...jane, username: 'john' };
    expect(decideAccess({ ...blocks, ...state }, noneEnded, john)).toEqual({ kind: 'unknown' });
    expect(decideAccess({ ...blocks, ...state }, noneEnded, jane).kind).toBe('blocked');
    const ended = { hasDigest: () => true };
    const withSession = { ...john, credentialIds: ['SALLYPORT=ab'] };
    expect(decideAccess({ ...blocks, ...state }, ended, withSession).kind).toBe('ended');
    expect(decideAccess({ ...blocks, age: 10_000 }, noneEnded, john).kind).toBe('no-opinion');
  });
});

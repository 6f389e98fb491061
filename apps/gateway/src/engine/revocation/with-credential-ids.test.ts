import type { AuthenticateContext, Authenticated, Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { digestToken } from './list.ts';
import { withCredentialIds } from './with-credential-ids.ts';

const key = 'authentication.kubernetes.io/credential-id';

async function decide(
  decision: Decision,
  { isRandom = false, hops }: { isRandom?: boolean; hops?: number } = {},
): Promise<Decision> {
  const inner = { authenticate: () => decision, close: async () => undefined };
  const context = { audiences: [], signal: new AbortController().signal, hops };
  const { authenticate } = withCredentialIds(inner, () => isRandom);
  return authenticate('token', context satisfies AuthenticateContext);
}

const jane: Authenticated = { kind: 'authenticated', user: { username: 'jane', groups: ['dev'] } };

function readIds(decision: Decision): readonly string[] | undefined {
  return decision.kind === 'authenticated' ? decision.user.extra?.[key] : undefined;
}

describe('the IDs of a credential', () => {
  test('are the digest of a token that no one can guess, and the ids in a token', async () => {
    const digest = `SALLYPORT=${digestToken('token')}`;
    expect(await decide(jane, { isRandom: true })).toEqual({
      ...jane,
      user: { ...jane.user, extra: { [key]: [digest] } },
    });
    const withIds = { ...jane, credential: { jti: 'a', sid: 'b' } };
    expect(readIds(await decide(withIds))).toEqual(['JTI=a', 'SID=b']);
    expect(readIds(await decide(withIds, { isRandom: true }))).toEqual(['JTI=a', 'SID=b', digest]);
  });

  test('follow those that the backend gave, each once, and leave other keys as they are', async () => {
    const extra = { [key]: ['X509SHA256=ab', 'JTI=a'], other: ['x'] };
    const decision = { ...jane, user: { ...jane.user, extra }, credential: { jti: 'a', sid: 'b' } };
    const decided = await decide(decision);
    expect(readIds(decided)).toEqual(['X509SHA256=ab', 'JTI=a', 'SID=b']);
    expect(decided).toMatchObject({ user: { extra: { other: ['x'] } } });
  });

  test('are left out when they are empty or look like other text', async () => {
    const credential = { jti: '', sid: 'a\u202eb' };
    expect(await decide({ ...jane, credential })).toEqual({ ...jane, credential });
  });

  test.each<{ name: string; decision: Decision; hops?: number }>([
    { name: 'a token that can be guessed, without ids', decision: jane },
    { name: 'a refused token', decision: { kind: 'rejected', reason: 'blocked' } },
    { name: 'an unknown token', decision: { kind: 'no-opinion' } },
    { name: 'a forwarded review', decision: { ...jane, credential: { jti: 'a' } }, hops: 1 },
  ])('are not added to the answer about $name', async ({ decision, hops }) => {
    const isRandom = hops !== undefined;
    expect(await decide(decision, { isRandom, ...(hops !== undefined && { hops }) })).toBe(
      decision,
    );
  });
});

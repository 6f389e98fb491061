import type { Decision } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import { withProvenance } from './provenance.ts';

const context = { audiences: [], signal: new AbortController().signal };
const provenance = { keyPrefix: 'sallyport.example.com', fingerprint: (token: string) => `digest of ${token}` };

async function ask(decision: Decision): Promise<Decision> {
  const inner = { authenticate: async () => decision, close: async () => {} };
  return withProvenance(inner, 'corp', provenance).authenticate('t', context);
}

test('is added to what the backend knows of a user, and changes nothing else', async () => {
  const added = {
    'sallyport.example.com/authenticator': ['corp'],
    'sallyport.example.com/credential': ['digest of t'],
  };
  const user = { username: 'jane', groups: ['a'], extra: { 'example.com/email': ['jane@example.com'] } };
  const decision = { kind: 'authenticated', user, audiences: ['a'] } as const;
  expect(await ask(decision)).toStrictEqual({ ...decision, user: { ...user, extra: { ...user.extra, ...added } } });
  const bare = { kind: 'authenticated', user: { username: 'jane' } } as const;
  expect(await ask(bare)).toStrictEqual({ ...bare, user: { username: 'jane', extra: added } });
});

test.each<Decision>([{ kind: 'no-opinion' }, { kind: 'rejected', reason: 'locked', subject: 'jane' }])(
  'is not added to $kind',
  async (decision) => {
    expect(await ask(decision)).toBe(decision);
  },
);

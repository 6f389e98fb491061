import type { Authenticated, Decision } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import type { Blocks, Entry } from './list.ts';
import { noBlocks } from './testing/no-blocks.ts';
import { withBlocks } from './with-blocks.ts';

const block: Entry = {
  id: 'a',
  action: 'block',
  kind: 'user',
  name: 'jane',
  revision: 1,
  at: 1,
  until: 2,
  keptUntil: 2,
  by: 'root',
  reason: 'left',
};

function blockAnswers(decision: Decision, blocks: Partial<Blocks>) {
  const logged: object[] = [];
  let asked = 0;
  const inner = {
    authenticate: async () => {
      asked++;
      return decision;
    },
    close: async () => {},
  };
  const all: Blocks = { ...noBlocks, ...blocks };
  const blocking = withBlocks(inner, 'corp', all, { info: (fields) => logged.push(fields) });
  const ask = () =>
    blocking.authenticate('token', { audiences: [], signal: new AbortController().signal });
  return { ask, logged, asked: () => asked };
}

const jane: Authenticated = { kind: 'authenticated', user: { username: 'jane', groups: ['dev'] } };

test('an authenticated user is refused when the name or a group is blocked', async () => {
  const seen: unknown[] = [];
  const { ask, logged } = blockAnswers(jane, {
    findByUser: (...about) => {
      seen.push(about);
      return block;
    },
  });
  expect(await ask()).toStrictEqual({ kind: 'rejected', reason: 'blocked', subject: 'jane' });
  expect(seen).toEqual([['jane', ['dev']]]);
  expect(logged).toEqual([
    { authenticator: 'corp', subject: 'jane', blocked: 'user', by: 'root', reason: 'left' },
  ]);
});

test('other decisions pass unchanged, and so do users who are not blocked', async () => {
  for (const decision of [
    jane,
    { kind: 'no-opinion' },
    { kind: 'rejected', reason: 'expired' },
  ] as const) {
    expect(await blockAnswers(decision, {}).ask()).toBe(decision);
  }
});

test('a token that is blocked costs no lookup, and one that is blocked during its lookup is refused after it', async () => {
  const before = blockAnswers(jane, { findByToken: () => block });
  expect(await before.ask()).toStrictEqual({ kind: 'rejected', reason: 'blocked' });
  expect(before.asked()).toBe(0);
  const answers = [undefined, block];
  const during = blockAnswers(jane, { findByToken: () => answers.shift() });
  expect(await during.ask()).toMatchObject({ reason: 'blocked' });
  expect(during.asked()).toBe(1);
});

test('a token is refused when an id in it is blocked, and costs nothing when it has none', async () => {
  const seen: unknown[] = [];
  const findByCredential: Blocks['findByCredential'] = (credential) => {
    seen.push(credential);
    return { ...block, kind: 'sid' };
  };
  const credential = { jti: '7', sid: 's' };
  const { ask, logged } = blockAnswers({ ...jane, credential }, { findByCredential });
  expect(await ask()).toStrictEqual({ kind: 'rejected', reason: 'blocked', subject: 'jane' });
  expect(logged).toEqual([
    { authenticator: 'corp', subject: 'jane', blocked: 'sid', by: 'root', reason: 'left' },
  ]);
  expect(await blockAnswers(jane, { findByCredential }).ask()).toBe(jane);
  expect(seen).toEqual([credential]);
});

test('while it is not known who is blocked, no user is let in, and nothing else changes', async () => {
  const unknown = { isUnknown: true };
  await expect(blockAnswers(jane, unknown).ask()).rejects.toMatchObject({
    name: 'AuthenticatorError',
    code: 'unavailable',
    message: expect.stringMatching(/if it is new, run "sallyport revoke --all"/),
  });
  for (const decision of [
    { kind: 'no-opinion' },
    { kind: 'rejected', reason: 'expired' },
  ] as const) {
    expect(await blockAnswers(decision, unknown).ask()).toBe(decision);
  }
});

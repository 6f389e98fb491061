import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createTestContext } from '../../testing/command-context.ts';
import { askEach } from '../connections.ts';
import { lookUpUser } from './look-up-user.ts';
import { configOf, hangs, knows, type Revalidate } from './testing/look-ups.ts';

const observer = { onStep: () => undefined, onNames: () => undefined };
const stays = () => new Promise<never>(() => undefined);

function lookUp(corp: Parameters<typeof configOf>[0][string]) {
  return askEach(
    configOf({ corp }),
    pino({ level: 'silent' }),
    (created) => lookUpUser(createTestContext(), configOf({ corp }), created, 'jane', observer),
    () => undefined,
  );
}

afterEach(() => void vi.useRealTimers());

describe('a backend that does not answer', () => {
  test.each([
    {
      question: 'who the user is',
      backend: hangs,
      row: { answer: 'could not be checked', reason: 'no answer within 10s' },
    },
    {
      question: 'whether the account is good',
      backend: { lookUp: knows, revalidate: stays },
      row: { answer: 'known', account: 'could not be checked: no answer within 10s' },
    },
  ])('is asked for 10 s at most $question', async ({ backend, row }) => {
    vi.useFakeTimers();
    const rows = lookUp(backend);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await rows).toMatchObject([row]);
  });
});

test('a user whom another one logs in as is known by the name alone, with the state of the account', async () => {
  const revalidate: Revalidate = async () => ({ kind: 'rejected', reason: 'disabled' });
  const backend = { lookUp: async () => ({ username: 'mallory' }), revalidate };
  expect(await lookUp(backend)).toMatchObject([
    { answer: 'known', reason: 'corp:jane', account: 'disabled' },
  ]);
});

test('a plugin without lookUp is asked by revalidate', async () => {
  const revalidate: Revalidate = async ({ username }) => ({
    kind: 'authenticated',
    user: { username },
  });
  expect(await lookUp({ revalidate })).toMatchObject([
    { answer: 'known', reason: 'corp:jane', account: 'good' },
  ]);
  const none: Revalidate = async () => ({ kind: 'rejected', reason: 'unknown-user' });
  expect(await lookUp({ revalidate: none })).toMatchObject([
    { answer: 'not known', account: 'not found' },
  ]);
  expect(await lookUp(null)).toMatchObject([
    { answer: "can't be looked up", reason: 'only a token shows its user' },
  ]);
});

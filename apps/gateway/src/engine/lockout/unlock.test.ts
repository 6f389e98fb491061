import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createAttempts } from './attempts.ts';
import { abandonedAfter } from './local-guard.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const window = 600_000;
const corp = { name: 'corp', username: { prefix: 'corp:' } };
const bare = { name: 'bare', username: { prefix: '' } };

function createGuard() {
  const guard = createAttempts(() => ({ maxFailures: 2, window }), { now: () => Date.now() });
  const send = async (secret: string, name = 'jane', authenticator = 'corp') => {
    const attempt = await guard(authenticator).admit(`uid=${name}`, secret, undefined, name);
    if (!attempt.admitted) return attempt.reason;
    await attempt.settle(secret === 'right' ? 'accepted' : 'refused');
    return 'sent';
  };
  return { guard, send };
}

test('an unlocked user has all attempts again, also for a password that was refused, and others do not', async () => {
  const { guard, send } = createGuard();
  for (const name of ['jane', 'john']) for (const secret of ['a', 'b']) await send(secret, name);
  expect([await send('c'), await send('c', 'john'), guard.lockedOut('corp')]).toEqual([
    'throttled',
    'throttled',
    2,
  ]);
  guard.unlock('corp:jane', [corp, bare]);
  expect(guard.lockedOut('corp')).toBe(1);
  expect([await send('a'), await send('right'), await send('c', 'john')]).toEqual([
    'sent',
    'sent',
    'throttled',
  ]);
});

test('is named as Kubernetes sees them, of each authenticator that may have them', async () => {
  const { guard, send } = createGuard();
  for (const authenticator of ['corp', 'bare'])
    for (const secret of ['a', 'b']) await send(secret, 'jane', authenticator);
  guard.unlock('jane', [corp, bare]);
  expect([await send('c'), await send('c', 'jane', 'bare')]).toEqual(['throttled', 'sent']);
});

test('an attempt in progress goes on, and counts when it is refused', async () => {
  const { guard, send } = createGuard();
  const attempt = await guard('corp').admit('uid=jane', 'a', undefined, 'jane');
  guard.unlock('corp:jane', [corp]);
  if (attempt.admitted) await attempt.settle('refused');
  expect(await send('a')).toBe('invalid-credentials');
});

test('attempts that were never settled keep an unlocked user out no more', async () => {
  const { guard, send } = createGuard();
  for (const secret of ['a', 'b']) await guard('corp').admit('uid=jane', secret, undefined, 'jane');
  await vi.advanceTimersByTimeAsync(abandonedAfter);
  expect(await send('c')).toBe('throttled');
  guard.unlock('corp:jane', [corp]);
  expect(await send('c')).toBe('sent');
});

test('who is locked out counts no more once a new password goes out, though the last attempt is recent', async () => {
  const { guard, send } = createGuard();
  await send('a');
  vi.setSystemTime(Date.now() + window / 2);
  await send('b');
  await send('c');
  expect(guard.lockedOut('corp')).toBe(1);
  vi.setSystemTime(Date.now() + window / 2);
  expect([await send('d'), guard.lockedOut('corp')]).toEqual(['sent', 0]);
});

test('who is locked out counts until a new password goes out, or the window after the last attempt has passed', async () => {
  const { guard, send } = createGuard();
  await send('right');
  for (const secret of ['a', 'b']) await send(secret);
  expect(guard.lockedOut('corp')).toBe(0);
  await send('c');
  expect([await send('right'), guard.lockedOut('corp'), guard.lockedOut('bare')]).toEqual([
    'sent',
    1,
    0,
  ]);
  vi.setSystemTime(Date.now() + window);
  expect(await send('d')).toBe('sent');
  expect(guard.lockedOut('corp')).toBe(0);
  for (const secret of ['e', 'f']) await send(secret);
  expect(guard.lockedOut('corp')).toBe(1);
  vi.setSystemTime(Date.now() + window);
  expect(guard.lockedOut('corp')).toBe(0);
});

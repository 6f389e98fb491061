import { describe, expect, test, vi } from 'vitest';
import { ageText, createSlots, durationText, pause, withDeadline, within } from './deadlines.ts';

describe('a wait', () => {
  const late = () => new Error('late');

  test.each<[string, (settle: { resolve(value: string): void; reject(reason: unknown): void }) => void, string]>([
    ['a value', ({ resolve }) => resolve('value'), 'value'],
    ['an error', ({ reject }) => reject(new Error('failed')), 'failed'],
    ['the timeout', () => {}, 'late'],
  ])('ends once, with %s, and then cleans up', async (_what, act, outcome) => {
    const cleanUp = vi.fn();
    const wait = withDeadline<string>({ timeout: 5, late }, (settle) => {
      act(settle);
      return cleanUp;
    });
    expect(await wait.catch((error: Error) => error.message)).toBe(outcome);
    expect(cleanUp).toHaveBeenCalledOnce();
  });

  test('ends with the reason of its signal, and does not begin when that is aborted already', async () => {
    const controller = new AbortController();
    const start = vi.fn(() => () => {});
    const wait = withDeadline({ signal: controller.signal }, start);
    controller.abort(new Error('gone'));
    await expect(wait).rejects.toThrow('gone');
    await expect(withDeadline({ signal: controller.signal }, start)).rejects.toThrow('gone');
    expect(start).toHaveBeenCalledOnce();
  });

  test('leaves no unhandled rejection of work that no one waits for any more', async () => {
    const failing = () => Promise.reject(new Error('of the work'));
    await expect(within(failing(), { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow('gone');
    const slow = new Promise((_resolve, reject) => setTimeout(() => reject(new Error('of the work')), 10));
    await expect(within(slow, { timeout: 1, late })).rejects.toThrow('late');
    await slow.catch(() => {});
  });

  test('that is a pause ends early with its signal, and does not throw', async () => {
    await pause(1, new AbortController().signal);
    await pause(60_000, AbortSignal.abort());
  });
});

test('a slot passes to those who wait, also after an error', async () => {
  const inSlot = createSlots(1);
  const wait = { timeout: 60_000, late: () => new Error('late') };
  const order: string[] = [];
  const hold = Promise.withResolvers<void>();
  const first = inSlot(wait, () => hold.promise);
  const others = ['second', 'third'].map((name) => inSlot(wait, async () => order.push(name)));
  await new Promise(setImmediate);
  order.push('first leaves');
  hold.reject(new Error('of the work'));
  await expect(first).rejects.toThrow('of the work');
  await Promise.all(others);
  expect(order).toEqual(['first leaves', 'second', 'third']);
});

test('lengths of time read as people say them', () => {
  expect([300, 1000, 1500, 3000, 119_000, 240_000, 10_800_000].map(durationText)).toEqual([
    '300ms',
    '1s',
    '1500ms',
    '3s',
    '119s',
    '4m',
    '3h',
  ]);
});

test('ages are rounded to seconds', () => {
  expect([0, 999, 1400, 12_345, 7_200_000].map(ageText)).toEqual([
    'just now',
    'just now',
    '1s ago',
    '12s ago',
    '2h ago',
  ]);
});

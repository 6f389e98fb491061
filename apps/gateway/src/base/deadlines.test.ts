import { expect, test } from 'vitest';
import { withTimeLimit } from './deadlines.ts';

const never = () => new Promise<never>(() => {});

test('withTimeLimit aborts the work with the error that it throws', async () => {
  let reason: unknown;
  const work = (signal: AbortSignal) => {
    signal.addEventListener('abort', () => (reason = signal.reason));
    return never();
  };
  const error = await withTimeLimit(1, 'too long', work).catch((thrown: unknown) => thrown);
  expect(error).toEqual(new Error('too long'));
  expect(reason).toBe(error);
});

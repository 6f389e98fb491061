import { EventEmitter } from 'node:events';
import type { Context } from 'koa';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createLog } from '../testing/server.ts';
import { answerErrors } from './answer-errors.ts';
import { StatusError } from './kubernetes-status.ts';

test('a bug is an error once in 10 s for each place in the code, however many requests run into it', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { lines, logger } = createLog();
  const answer = answerErrors(logger);
  const ask = async (next: () => Promise<void>) => {
    const context = {
      set: () => undefined,
      req: { on: () => undefined, resume: () => undefined },
      res: {},
    };
    await answer(context as unknown as Context, next);
    expect(context).toMatchObject({ status: 500 });
  };
  const here = () => Promise.reject(new TypeError('one'));
  const there = () => Promise.reject(new TypeError('other'));
  for (let count = 0; count < 3; count++) await ask(here);
  await ask(there);
  vi.advanceTimersByTime(10_000);
  await ask(here);
  const bugs = lines.map(({ level, fields }) => [
    level,
    (fields as { unloggedSince?: number }).unloggedSince,
  ]);
  expect(bugs).toEqual([
    ['error', undefined],
    ['debug', undefined],
    ['debug', undefined],
    ['error', undefined],
    ['error', 2],
  ]);
});

test.each([
  { what: 'is cut off when its body does not end', destroyed: false, timers: 1 },
  { what: 'is not kept for its body once its client has reset it', destroyed: true, timers: 0 },
])('a refused HTTP/2 stream $what', async ({ destroyed, timers }) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const close = vi.fn();
  const req = Object.assign(new EventEmitter(), {
    session: {},
    destroyed,
    close,
    resume: () => undefined,
  });
  const context = { set: () => undefined, req, res: {} } as unknown as Context;
  await answerErrors(createLog().logger, 1_000)(context, () =>
    Promise.reject(new StatusError(404, 'not found')),
  );
  expect(vi.getTimerCount()).toBe(timers);
  vi.advanceTimersByTime(1_000);
  expect(close).toHaveBeenCalledTimes(timers);
});

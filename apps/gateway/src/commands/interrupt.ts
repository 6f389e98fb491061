import { durationText } from '@sallyport/plugin-kit';
import { within } from '../base/deadlines.ts';

export type Interrupt = ReturnType<typeof createInterrupt>;

/**
 * Makes a wait for what may never come. After it has given up, because of Ctrl-C or a silence of `limit` milliseconds, it waits for
 * nothing more, whether or not the work heeds the signal, which is aborted then. Until it is disposed of, Ctrl-C and SIGTERM end
 * the wait and not the process, so that the command can report what was done until then.
 *
 * @param limit milliseconds without an answer
 */
export function createInterrupt(limit = 60_000) {
  const controller = new AbortController();
  const { signal } = controller;
  const interrupt = () => controller.abort(new Error('interrupted'));
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const late = () => {
    controller.abort(new Error(`no answer for ${durationText(limit)}`));
    return signal.reason;
  };

  /** @throws Error when it gives up, and what `work` throws */
  const wait = <Value>(work: () => Promise<Value>): Promise<Value> =>
    within({ limit, late, signal }, work);

  /** Yields each of `items`, for as long as they keep coming. */
  async function* limitEach<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await wait(() => iterator.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      // This is not awaited, since it may be what hangs.
      iterator.return?.().catch(() => undefined);
    }
  }

  return {
    signal,
    wait,
    limitEach,
    [Symbol.dispose]: () => {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    },
  };
}

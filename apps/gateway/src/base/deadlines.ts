import { within } from '@sallyport/plugin-kit';

export { bounded, pause, type WaitBounds, within } from '@sallyport/plugin-kit';

/**
 * Waits for `work` for at most `limit` milliseconds. At the limit, the signal of `work` is aborted.
 *
 * @throws Error with the message `late` at the limit, and what `work` throws
 */
export async function withTimeLimit<Value>(
  limit: number,
  late: string,
  work: (signal: AbortSignal) => Promise<Value> | Value,
): Promise<Value> {
  const controller = new AbortController();
  const abort = () => {
    const error = new Error(late);
    controller.abort(error);
    return error;
  };
  return within({ limit, late: abort }, () => work(controller.signal));
}

/** Makes a queue that runs one piece of work after the other, even after one that failed. */
export function createTurns(): <Value>(work: () => Promise<Value>) => Promise<Value> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
}

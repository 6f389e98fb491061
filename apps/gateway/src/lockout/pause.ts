import { setTimeout as delay } from 'node:timers/promises';

/** @throws the reason of the signal when it is aborted */
export type Pause = (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;

export const pause: Pause = async (milliseconds, signal) => {
  try {
    await delay(milliseconds, undefined, { signal });
  } catch (error) {
    // Its own error says only that something was aborted.
    signal?.throwIfAborted();
    throw error;
  }
};

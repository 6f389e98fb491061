import { onTestFinished, vi } from 'vitest';

/** Stops timers, but not sockets, until the end of the test: no machine is too slow for a timeout. */
export function stopTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
}

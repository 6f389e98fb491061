import { onTestFinished, vi } from 'vitest';

/** Until the end of the test, timers end when the test says so, and sockets go on: no machine is too slow for a timeout. */
export function stopTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
}

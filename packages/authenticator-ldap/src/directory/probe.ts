/** Looks again and again whether a server is back. */
export interface Probe {
  /** The first one goes out an interval later. */
  start(): void;
  stop(): void;
  /** Fulfilled when the one under way has ended. Only after `stop`. */
  untilIdle(): Promise<void>;
}

/**
 * One at a time, an interval from the end of one to the start of the next. The timer keeps no process alive.
 *
 * @param attempt calls `stop` through whoever started it when it found the server well; never throws
 */
export function createProbe(interval: number, attempt: () => Promise<void>): Probe {
  let started = false;
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<void> | undefined;

  const schedule = () => {
    timer = setTimeout(run, interval);
    timer.unref();
  };
  const run = () => {
    underWay = attempt().finally(() => {
      underWay = undefined;
      if (started) schedule();
    });
  };
  return {
    start() {
      started = true;
      if (underWay === undefined) schedule();
    },
    stop() {
      started = false;
      clearTimeout(timer);
    },
    async untilIdle() {
      await underWay;
    },
  };
}

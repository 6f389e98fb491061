import { createWaitingLine, type Wait } from './waiting-line.ts';

/** So many at one time, and no more. */
export interface Places {
  /**
   * Waits for a place.
   *
   * @returns gives the place back; a second call does nothing
   * @throws as `WaitingLine.join`
   */
  take(wait: Wait): Promise<() => void>;
}

export function createPlaces(count: number): Places {
  const line = createWaitingLine<void>();
  let taken = 0;

  const leave = () => {
    // The place goes from hand to hand, so that nobody who comes now gets it before those who wait.
    if (line.length > 0) line.serve();
    else taken--;
  };
  return {
    async take(wait) {
      wait.signal.throwIfAborted();
      if (taken < count) taken++;
      else await line.join(wait);
      let mine = true;
      return () => {
        if (mine) leave();
        mine = false;
      };
    },
  };
}

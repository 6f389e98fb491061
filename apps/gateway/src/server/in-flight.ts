/** The reviews in progress, and the backend work that outlived its review. Both cost memory and connections. */
export interface InFlight {
  /** Work that outlived its review can take it above the limit, since it can't be refused any more. */
  readonly count: number;
  /**
   * Counts a review, if fewer than `limit` are counted.
   *
   * @returns ends the count, a second call does nothing; undefined if the limit is reached
   */
  enter(limit: number): (() => void) | undefined;
  /** Counts work that no one waits for any more, until it settles. */
  hold(work: Promise<unknown>): void;
}

/** Counts what `server.maxInFlight` limits. */
export function createInFlight(): InFlight {
  let count = 0;
  const take = () => {
    let isTaken = true;
    count++;
    return () => {
      if (isTaken) count--;
      isTaken = false;
    };
  };
  return {
    get count() {
      return count;
    },
    enter: (limit) => (count < limit ? take() : undefined),
    hold(work) {
      const leave = take();
      work.then(leave, leave);
    },
  };
}

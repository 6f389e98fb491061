/** The reviews under way, and the backend work that outlived its review: both cost memory and connections. */
export interface InFlight {
  /** Places taken now. Abandoned work may take it above the limit, since it can't be refused any more. */
  readonly count: number;
  /**
   * Takes a place for a review, if there are fewer than `limit` taken.
   *
   * @returns gives the place back, a second call does nothing; undefined when all are taken
   */
  enter(limit: number): (() => void) | undefined;
  /** Takes a place for work that nobody waits for any more, until it settles. */
  hold(work: Promise<unknown>): void;
}

/** Counts what `server.maxInFlight` bounds. */
export function createInFlight(): InFlight {
  let count = 0;
  const take = () => {
    let taken = true;
    count++;
    return () => {
      if (taken) count--;
      taken = false;
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

import { bounded } from '../../base/deadlines.ts';

/** A lookup in progress, and how many callers wait for it. */
interface Lookup<Result> {
  readonly answer: Promise<Result>;
  /** The revision of the revocation list that was known when it began. */
  readonly revision: number;
  readonly controller: AbortController;
  callers: number;
}

/** Begins a lookup. The signal is aborted when no caller waits any more. */
type Begin<Result> = (signal: AbortSignal) => Promise<Result>;

/** Makes one lookup of all that ask the same. @param onJoined called for each caller who waits for another's lookup */
export function createSingleFlight<Result>(onJoined: () => void) {
  const lookups = new Map<string, Lookup<Result>>();

  const remove = (name: string, lookup: Lookup<Result>) => {
    if (lookups.get(name) === lookup) lookups.delete(name);
  };
  const start = (name: string, revision: number, begin: Begin<Result>) => {
    const controller = new AbortController();
    const answer = begin(controller.signal);
    const lookup: Lookup<Result> = { answer, revision, controller, callers: 0 };
    lookups.set(name, lookup);
    const end = () => remove(name, lookup);
    lookup.answer.then(end, end);
    return lookup;
  };
  const leave = (name: string, lookup: Lookup<Result>, reason: unknown) => {
    lookup.callers--;
    if (lookup.callers > 0) return;
    // No one may join an aborted lookup.
    remove(name, lookup);
    lookup.controller.abort(reason);
  };

  return {
    /**
     * Waits for the lookup of that name, or begins it. A lookup that began before the newest revocation is not joined:
     * its answer may be revoked.
     *
     * @param signal ends the wait of this caller alone: the lookup goes on for the others, and is aborted when none is left
     * @throws what the lookup threw, or the signal's reason
     */
    join(
      name: string,
      revision: number,
      signal: AbortSignal,
      begin: Begin<Result>,
    ): Promise<Result> {
      if (signal.aborted) return Promise.reject(signal.reason);
      const current = lookups.get(name);
      const isJoined = current !== undefined && current.revision >= revision;
      const lookup = isJoined ? current : start(name, revision, begin);
      if (isJoined) onJoined();
      lookup.callers++;
      const aborted = () => {
        leave(name, lookup, signal.reason);
        return signal.reason;
      };
      return bounded(
        { signal, aborted },
        (resolve, reject) => void lookup.answer.then(resolve, reject),
      );
    },
  };
}

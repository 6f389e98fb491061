import { currentBudget, type ReviewBudget } from '../shared-redis/review-budget.ts';

/** One lookup under way, and those who wait for it. */
interface Flight<Answer> {
  readonly answer: Promise<Answer>;
  /** What was known of revocations when it began. */
  readonly revision: number;
  readonly controller: AbortController;
  /** Of the review that began it. */
  readonly budget: ReviewBudget;
  /** Has it wait for Redis no longer. */
  readonly hurry: () => void;
  waiting: number;
}

export interface FlightsOptions {
  /** Told of each caller who waits for another's lookup. */
  readonly onJoined: () => void;
  /** Milliseconds that Redis may cost one review in all. */
  readonly redisTimeout: number;
}

/**
 * Looks up.
 *
 * @param signal aborted when nobody waits any more
 * @param hurried resolves when somebody waits whose review Redis has cost enough: then it goes on without Redis
 */
type Begin<Answer> = (signal: AbortSignal, hurried: Promise<void>) => Promise<Answer>;

/** Lookups under way by name: who asks for what is looked up already waits for that. */
export interface Flights<Answer> {
  /**
   * Waits for the lookup of that name, or begins it. A lookup that began before the newest revocation is not joined:
   * what it brings may be revoked.
   *
   * @param signal of this caller alone: the lookup goes on for the others, and is aborted when the last one has gone
   * @throws what the lookup threw, or the signal's reason
   */
  join(name: string, revision: number, signal: AbortSignal, begin: Begin<Answer>): Promise<Answer>;
}

export function createFlights<Answer>({ onJoined, redisTimeout }: FlightsOptions): Flights<Answer> {
  const flights = new Map<string, Flight<Answer>>();

  const start = (name: string, revision: number, begin: Begin<Answer>): Flight<Answer> => {
    const controller = new AbortController();
    const { promise: hurried, resolve: hurry } = Promise.withResolvers<void>();
    const answer = begin(controller.signal, hurried);
    const flight: Flight<Answer> = { answer, revision, controller, budget: currentBudget(), hurry, waiting: 0 };
    flights.set(name, flight);
    const land = () => {
      if (flights.get(name) === flight) flights.delete(name);
    };
    flight.answer.then(land, land);
    return flight;
  };
  const leave = (name: string, flight: Flight<Answer>, reason: unknown) => {
    flight.waiting--;
    if (flight.waiting > 0) return;
    // Nobody may join what is aborted.
    if (flights.get(name) === flight) flights.delete(name);
    flight.controller.abort(reason);
  };

  return {
    join(name, revision, signal, begin) {
      if (signal.aborted) return Promise.reject(signal.reason);
      const known = flights.get(name);
      const joined = known !== undefined && known.revision >= revision;
      const flight = joined ? known : start(name, revision, begin);
      const budget = currentBudget();
      const spentBefore = flight.budget.spent;
      // For a review that has spent no more than the one that began it, the lookup ends its wait in time by itself.
      const hasSpentMore = joined && budget.spent > spentBefore;
      const timer = hasSpentMore ? setTimeout(flight.hurry, redisTimeout - budget.spent) : undefined;
      if (joined) onJoined();
      flight.waiting++;
      return untilAborted(
        flight.answer,
        signal,
        () => leave(name, flight, signal.reason),
        () => {
          clearTimeout(timer);
          // What Redis cost that lookup meanwhile, it has cost all who waited for it.
          if (joined) budget.spent += flight.budget.spent - spentBefore;
        },
      );
    },
  };
}

/**
 * @param onAbort the caller goes before the answer has come
 * @param onEnd in any case
 */
function untilAborted<Answer>(
  answer: Promise<Answer>,
  signal: AbortSignal,
  onAbort: () => void,
  onEnd: () => void,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let hasEnded = false;
    const end = () => {
      if (hasEnded) return;
      hasEnded = true;
      signal.removeEventListener('abort', giveUp);
      onEnd();
    };
    const giveUp = () => {
      onAbort();
      end();
      reject(signal.reason);
    };
    signal.addEventListener('abort', giveUp, { once: true });
    answer.then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}

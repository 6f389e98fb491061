import { currentBudget, type ReviewBudget } from '../shared-redis/review-budget.ts';

/** One lookup under way, and those who wait for it. */
interface Flight<Answer> {
  readonly answer: Promise<Answer>;
  /** What was known of revocations when it began. */
  readonly revision: number;
  readonly controller: AbortController;
  /** Of the review that began it. */
  readonly budget: ReviewBudget;
  waiting: number;
}

export interface FlightsOptions {
  /** Told of each caller who waits for another's lookup. */
  readonly onJoined: () => void;
}

/** Lookups under way by name: who asks for what is looked up already waits for that. */
export interface Flights<Answer> {
  /**
   * Waits for the lookup of that name, or begins it. A lookup that began before the newest revocation is not joined:
   * what it brings may be revoked.
   *
   * @param signal of this caller alone: the lookup goes on for the others, and is aborted when the last one has gone
   * @throws what the lookup threw, or the signal's reason
   */
  join(
    name: string,
    revision: number,
    signal: AbortSignal,
    begin: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer>;
}

export function createFlights<Answer>({ onJoined }: FlightsOptions): Flights<Answer> {
  const flights = new Map<string, Flight<Answer>>();

  const start = (name: string, revision: number, begin: (signal: AbortSignal) => Promise<Answer>): Flight<Answer> => {
    const controller = new AbortController();
    const budget = currentBudget();
    const flight: Flight<Answer> = { answer: begin(controller.signal), revision, controller, budget, waiting: 0 };
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
      if (joined) onJoined();
      flight.waiting++;
      return new Promise((resolve, reject) => {
        const giveUp = () => {
          leave(name, flight, signal.reason);
          reject(signal.reason);
        };
        signal.addEventListener('abort', giveUp, { once: true });
        const end = () => {
          signal.removeEventListener('abort', giveUp);
          // What Redis cost that lookup meanwhile, it has cost all who waited for it.
          if (joined) budget.spent += flight.budget.spent - spentBefore;
        };
        flight.answer.then(
          (answer) => {
            end();
            resolve(answer);
          },
          (error: unknown) => {
            end();
            reject(error);
          },
        );
      });
    },
  };
}

/** How acts are noted in the history. */
import type { Event } from './history.ts';
import type { Replica, World } from './world.ts';

type Distributed<Item> = Item extends unknown ? Omit<Item, 'begin' | 'end'> : never;

export interface Notes {
  /** Answers that are wrong whatever the history is. */
  readonly wrong: string[];
  begin<Noted extends Event>(event: Distributed<Noted>): Noted;
  end(event: Event): void;
  /** Counts a request. Without a problem, the oracle checks the answer. */
  onOutcome(kind: string, begin: number, problem: string | undefined): void;
}

export const now = (): number => performance.now();

/** @throws Error if there is no such replica */
export function replicaAt({ replicas }: Pick<World, 'replicas'>, at: number): Replica {
  const replica = replicas[at];
  if (replica === undefined) throw new Error(`there is no replica ${at}`);
  return replica;
}

/** @param history gets each event when it begins */
export function createNotes(history: Event[], onOutcome: Notes['onOutcome']): Notes {
  return {
    wrong: [],
    begin<Noted extends Event>(event: Distributed<Noted>): Noted {
      const begun = { ...event, begin: now(), end: Number.POSITIVE_INFINITY } as unknown as Noted;
      history.push(begun);
      return begun;
    },
    end(event) {
      event.end = now();
    },
    onOutcome,
  };
}

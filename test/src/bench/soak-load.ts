import { isDeepStrictEqual } from 'node:util';
import type { Client } from '../testing/clients.ts';
import type { TokenReview } from '../testing/token-review.ts';
import { percentiles } from './drive.ts';

/** An authenticator that can be unavailable. */
export type Fallible = 'robots' | 'corp';

/** A request, and the only answer to it that is right. */
export interface Exchange {
  readonly body: string;
  readonly status: 200 | 400;
  /** The user of an answer of 200. Left out: no one is authenticated. */
  readonly username?: string;
}

export interface Kind {
  readonly name: string;
  /** Whose outage may make the answer an error. */
  readonly needs?: Fallible;
  /** Another request of this kind. */
  next(): Exchange;
}

/** What one kind of request came to. */
export interface Counts {
  right: number;
  /** It could not be checked, while its backend was away. */
  unavailable: number;
  /** It could not be checked, though its backend was there. It lets no one in and refuses no one, so a few are no problem. */
  unexplained: number;
}

export interface SoakLoad {
  readonly counts: ReadonlyMap<string, Counts>;
  /** Every answer that was neither right nor "could not be checked", without the token. */
  readonly wrong: readonly string[];
  /** Milliseconds of the right answers since the last call. */
  latencies(): { readonly p50: number; readonly p99: number };
  /** From now on, what needs these may fail. */
  excuse(these: readonly Fallible[]): void;
  /** Waits until every kind was right some times in a row, and none wrong for a while; then excuses nothing any more. */
  recovered(): Promise<void>;
  /** Ends it; resolves when all that was asked is answered. */
  stop(): Promise<void>;
}

/** After so many wrong answers it ends: the next ones would say the same. */
const mostWrong = 20;

/** As many right answers in a row as show that a backend has recovered. */
const inARow = 20;

/**
 * Milliseconds without an error after which an outage is over. A lookup that began in it may wait for its `timeout`, 3 s,
 * and these open the circuit once more.
 */
const quietTime = 4_000;

/** Milliseconds until a gateway must have recovered from an outage that has ended. */
const longestRecovery = 60_000;

/** Each client has one request of each kind in progress. */
export function startSoakLoad(clients: readonly Client[], kinds: readonly Kind[]): SoakLoad {
  const counts = new Map<string, Counts>(kinds.map(({ name }) => [name, { right: 0, unavailable: 0, unexplained: 0 }]));
  const streaks = new Map<string, number>();
  const wrong: string[] = [];
  const excused = new Set<Fallible>();
  let times: number[] = [];
  let lastError = 0;
  let ended = false;

  async function ask(client: Client, kind: Kind): Promise<void> {
    const wasExcused = isExcused(kind);
    const exchange = kind.next();
    const begun = performance.now();
    const outcome = await outcomeOf(client, exchange, kind.needs);
    const count = counts.get(kind.name) as Counts;
    if (outcome === 'right') {
      times.push(performance.now() - begun);
      count.right += 1;
      streaks.set(kind.name, (streaks.get(kind.name) ?? 0) + 1);
      return;
    }
    streaks.set(kind.name, 0);
    lastError = performance.now();
    if (outcome !== 'unavailable') wrong.push(`${new Date().toISOString()} ${kind.name}: ${outcome}`);
    else if (wasExcused || isExcused(kind)) count.unavailable += 1;
    else count.unexplained += 1;
  }

  const isExcused = ({ needs }: Kind): boolean => needs !== undefined && excused.has(needs);
  const work = async (client: Client, kind: Kind): Promise<void> => {
    while (!ended && wrong.length < mostWrong) await ask(client, kind);
  };
  const all = Promise.all(clients.flatMap((client) => kinds.map((kind) => work(client, kind))));
  return {
    counts,
    wrong,
    latencies() {
      const some = percentiles(times);
      times = [];
      return some;
    },
    excuse: (these) => {
      for (const one of these) excused.add(one);
    },
    async recovered() {
      const end = performance.now() + longestRecovery;
      streaks.clear();
      const isQuiet = () => performance.now() - lastError > quietTime;
      const isGood = () => isQuiet() && kinds.every(({ name }) => (streaks.get(name) ?? 0) >= inARow);
      while (!isGood()) {
        if (wrong.length >= mostWrong) return;
        if (performance.now() > end) {
          const missing = kinds.filter(({ name }) => (streaks.get(name) ?? 0) < inARow).map(({ name }) => name);
          throw new Error(`no recovery within ${longestRecovery} ms of: ${missing.join(', ')}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      excused.clear();
    },
    async stop() {
      ended = true;
      await all;
    },
  };
}

async function outcomeOf(client: Client, expected: Exchange, needs: Fallible | undefined): Promise<string> {
  try {
    const { status, text } = await client.send({ body: expected.body });
    if (status !== expected.status) return `expected ${expected.status}, but the answer is ${status}`;
    if (status !== 200) return 'right';
    const { authenticated, user, error } = (JSON.parse(text) as TokenReview).status;
    if (error === `authenticator ${needs} unavailable` && !authenticated) return 'unavailable';
    const { username } = expected;
    if (isDeepStrictEqual([authenticated, user?.username, error], [username !== undefined, username, undefined])) {
      return 'right';
    }
    return `expected ${username ?? 'no one'}, but the answer is ${text}`;
  } catch (error) {
    return `no answer: ${error}`;
  }
}

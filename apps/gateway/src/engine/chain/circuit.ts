import { AuthenticatorError } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import type { CircuitConfig } from '../../config/types.ts';

export type CircuitState = 'closed' | 'half-open' | 'open';

/** What a call says of the backend: `nothing` when it did not finish, or the caller ended it. */
export type CallOutcome = 'answered' | 'outage' | 'nothing';

/** A call that may go out. */
export interface CircuitPermit {
  /** Whether this is the one call by which a half-open circuit finds out. Its outcome must not depend on any caller. */
  readonly probe: boolean;
  /** Reports the outcome, once. Does nothing if the circuit's state has changed since the call began. */
  settle(outcome: CallOutcome): void;
}

export type Circuit = ReturnType<typeof createCircuit>;

export interface CircuitDependencies {
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number;
  /** Called at each change; with `half-open` when the first call comes after `openFor`, or after a reconnection. */
  readonly onStateChange?: (state: CircuitState) => void;
}

/** The length of a slice of time, in milliseconds. */
const slice = 1_000;
/** The number of whole slices that count besides the present one: a call counts for 10 to 11 s. */
const slices = 10;

/** Counts the finished calls of the last 10 s, in slices of time: it takes the same memory at any rate of calls. */
export function createCircuitWindow(now: () => number) {
  let counts: { readonly slice: number; calls: number; outages: number }[] = [];
  const currentSlice = () => Math.floor(now() / slice);
  return {
    record(outage: boolean): void {
      const current = currentSlice();
      let newest = counts.at(-1);
      if (newest?.slice !== current) {
        newest = { slice: current, calls: 0, outages: 0 };
        counts = [...counts.slice(-slices), newest];
      }
      newest.calls++;
      if (outage) newest.outages++;
    },
    counts() {
      const oldest = currentSlice() - slices;
      let [calls, outages] = [0, 0];
      for (const count of counts) {
        if (count.slice < oldest) continue;
        calls += count.calls;
        outages += count.outages;
      }
      return { calls, outages };
    },
    clear(): void {
      counts = [];
    },
  };
}

/**
 * Opens when at least `minimumCalls` calls finished in the last 10 s and at least half of them were outages. After
 * `openFor`, or once its connection is back, one call at a time goes out as a probe and all others are refused immediately. An
 * answer closes the circuit and clears its counts; an outage opens it again.
 */
export function createCircuit(settings: CircuitConfig, dependencies: CircuitDependencies) {
  const { now, onStateChange } = dependencies;
  const window = createCircuitWindow(now);
  let state: CircuitState = 'closed';
  let openUntil = 0;
  let probing = false;
  // Distinguishes a call that began in an earlier state from one of the present.
  let era = 0;

  const enter = (next: CircuitState) => {
    state = next;
    era++;
    probing = false;
    window.clear();
    if (next === 'open') openUntil = now() + settings.openFor;
    onStateChange?.(next);
  };
  const settleProbe = (outcome: CallOutcome) => {
    if (outcome === 'nothing') probing = false;
    else enter(outcome === 'answered' ? 'closed' : 'open');
  };
  const settleCall = (outcome: CallOutcome) => {
    if (outcome === 'nothing') return;
    window.record(outcome === 'outage');
    // Only an outage opens it. Otherwise an answer could: when old answers leave the window, old outages may be half of the rest.
    if (outcome === 'answered') return;
    const { calls, outages } = window.counts();
    if (calls >= settings.minimumCalls && outages * 2 >= calls) enter('open');
  };

  return {
    /** It is `half-open` as soon as a probe may go out, even if no call has come since. */
    get state(): CircuitState {
      return state === 'open' && now() >= openUntil ? 'half-open' : state;
    },
    /** A connection to the backend was established again: an open circuit is half-open from now on. */
    reconnected(): void {
      if (state === 'open') openUntil = now();
    },
    /** @throws AuthenticatorError `unavailable`, immediately, when the call must not go out */
    admit(): CircuitPermit {
      if (state === 'open') {
        const wait = Math.ceil((openUntil - now()) / 1000) * 1000;
        if (wait > 0) throw refusal(`circuit open, next call in ${durationText(wait)}`);
        enter('half-open');
      }
      const probe = state === 'half-open';
      if (probe && probing)
        throw refusal('circuit half-open, one call is finding out whether it can close');
      probing = probe;
      const begun = era;
      return {
        probe,
        settle(outcome) {
          if (begun !== era) return;
          if (probe) settleProbe(outcome);
          else settleCall(outcome);
        },
      };
    },
  };
}

function refusal(message: string): AuthenticatorError {
  return new AuthenticatorError('unavailable', message);
}

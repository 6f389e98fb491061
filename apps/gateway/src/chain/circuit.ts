import { AuthenticatorError } from '@sallyport/authenticator';
import type { CircuitConfig } from '../config/types.ts';
import { createCircuitWindow } from './circuit-window.ts';

// Our own, after reading the source of cockatiel 4.0.0: there callers wait for the half-open probe; times are
// Date.now(), so a clock set back by an hour keeps a circuit open for an hour; windows are rotated one per call, so at
// low rates old outages never age out; and the circuit opens at more than half outages, not at half.

export type CircuitState = 'closed' | 'half-open' | 'open';

/** What a finished call says of the backend; `nothing` when it was not finished, or the caller ended it. */
export type CallOutcome = 'answered' | 'outage' | 'nothing';

/** A call that may go out. */
export interface CircuitPermit {
  /** The one call by which a half-open circuit finds out: its outcome must not hang on any caller. */
  readonly probe: boolean;
  /** To be called once. Does nothing if the circuit's state has changed since the call began. */
  settle(outcome: CallOutcome): void;
}

export interface Circuit {
  /** `half-open` as soon as `openFor` is over, also when no call has come since. */
  readonly state: CircuitState;
  /** @throws AuthenticatorError `unavailable`, at once, when the call must not go out */
  admit(): CircuitPermit;
}

export interface CircuitDependencies {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Told at each change; of `half-open` when the first call comes after `openFor`. */
  readonly onStateChange?: (state: CircuitState) => void;
}

/**
 * Opens when at least `minimumCalls` calls finished in the last 10 s and at least half of them were outages. After
 * `openFor` one call at a time goes out as a probe and all others are refused at once: an answer closes the circuit
 * with a clean slate, an outage opens it again.
 */
export function createCircuit(settings: CircuitConfig, dependencies: CircuitDependencies): Circuit {
  const { now, onStateChange } = dependencies;
  const window = createCircuitWindow(now);
  let state: CircuitState = 'closed';
  let openUntil = 0;
  let probing = false;
  // Tells a call that began in an earlier state from one of the present.
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
    if (window.calls >= settings.minimumCalls && window.outages * 2 >= window.calls) enter('open');
  };

  return {
    get state() {
      return state === 'open' && now() >= openUntil ? 'half-open' : state;
    },
    admit() {
      const wait = openUntil - now();
      if (state === 'open') {
        if (wait > 0) throw refusal(`circuit open, next try in ${Math.ceil(wait / 1000)}s`);
        enter('half-open');
      }
      const probe = state === 'half-open';
      if (probe && probing) throw refusal('circuit half-open, one call is finding out whether it can close');
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

import {
  type AuthenticateContext,
  type Authenticator,
  AuthenticatorError,
  type Decision,
} from '@sallyport/authenticator';
import type { AuthenticatorConfig } from '../config/types.ts';
import type { Link } from './chain.ts';
import {
  type CallOutcome,
  type CircuitDependencies,
  type CircuitPermit,
  type CircuitState,
  createCircuit,
} from './circuit.ts';
import { layer } from './layer.ts';
import { createNameLimit, createProvenTokens, createSlots, mostOfOneName, type ProvenTokens } from './slots.ts';

/** `timeout` in milliseconds, for each call, and for the wait before it. */
export type GuardSettings = Pick<AuthenticatorConfig, 'timeout' | 'maxConcurrent' | 'maxWaiting' | 'circuit'>;

export interface GuardDependencies extends CircuitDependencies {
  /**
   * Called once for each call that no one waits for any more and that still runs. `work` settles when the plugin's own
   * promise has, and never rejects.
   */
  readonly onAbandoned: (work: Promise<unknown>) => void;
  /** Left out: those of this guard alone. */
  readonly proven?: ProvenTokens | undefined;
}

/** The plugin within its bounds. */
export interface Guard extends Authenticator {
  readonly circuitState: CircuitState;
}

/** A link of the chain whose bounds can be looked at. */
export interface GuardedLink extends Link {
  readonly guard: Guard;
}

/**
 * Bounds what one plugin can cost: a deadline for each call, a limit on concurrent calls, and a circuit that sends no
 * calls to a backend while it is down. A call keeps its slot until the plugin's own promise has settled, whether or not
 * its caller still waits: `maxConcurrent` bounds the real calls. So a plugin that ignores its signal and never settles
 * fills its slots for good, and never more than these.
 */
export function withGuard(plugin: Authenticator, settings: GuardSettings, dependencies: GuardDependencies): Guard {
  const circuit = createCircuit(settings.circuit, dependencies);
  const slots = createSlots(settings);
  const { proven = createProvenTokens()('') } = dependencies;
  const isTooMany = createNameLimit(dependencies.now);

  /** Proven tokens of a name have a count of their own: whoever only knows the name can't use it up. */
  const isOneTooMany = (name: string | undefined, token: string): boolean =>
    name !== undefined && isTooMany(`${proven.has(token) ? '+' : '-'}${name}`);

  /**
   * Takes a slot. A refusal here is no outage: the backend may be healthy, and many callers must not open the circuit.
   * The circuit is asked again after a wait: it may have opened.
   */
  const admit = async (token: string, signal: AbortSignal): Promise<CircuitPermit> => {
    const name = plugin.claimedName?.(token);
    const permit = circuit.admit();
    if (isOneTooMany(name, token)) {
      permit.settle('nothing');
      await slots.holdBack(signal);
      throw refusal(signal, `more than ${mostOfOneName} lookups of one name in a second`);
    }
    if (slots.tryTake(() => proven.has(token))) return permit;
    permit.settle('nothing');
    try {
      await slots.wait(proven.has(token), signal);
    } catch {
      throw refusal(signal, `too many lookups in progress (maxConcurrent ${settings.maxConcurrent})`);
    }
    try {
      return circuit.admit();
    } catch (error) {
      slots.leave();
      throw error;
    }
  };

  const guarded = layer(plugin, async (token, context) => {
    if (context.signal.aborted) throw callerGone(context.signal);
    const permit = await admit(token, context.signal);
    const decision = await call(permit, settings.timeout, context, dependencies.onAbandoned, async (own) => {
      try {
        const { audiences, trace } = context;
        return await plugin.authenticate(token, { audiences, ...own, ...(trace && { trace }) });
      } finally {
        slots.leave();
      }
    });
    if (decision.kind === 'authenticated') proven.add(token);
    return decision;
  });
  return {
    ...guarded,
    get circuitState() {
      return circuit.state;
    },
  };
}

/** One call, from its start to the first of these: the plugin's answer, the deadline, the caller's abort. */
function call(
  permit: CircuitPermit,
  timeout: number,
  caller: AuthenticateContext,
  onAbandoned: (work: Promise<unknown>) => void,
  start: (own: Pick<AuthenticateContext, 'signal' | 'backendAnswered'>) => Promise<Decision>,
): Promise<Decision> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    let isOutage = true;
    const backendAnswered = () => {
      isOutage = false;
    };
    const work = start({ signal: controller.signal, backendAnswered });
    let waitedFor = true;
    const abandon = (error: AuthenticatorError) => {
      caller.signal.removeEventListener('abort', leave);
      if (!waitedFor) return;
      waitedFor = false;
      reject(error);
      onAbandoned(work.catch(() => undefined));
    };
    const end = (error: AuthenticatorError, outcome: CallOutcome) => {
      clearTimeout(timer);
      permit.settle(outcome);
      controller.abort(error);
    };
    const expire = () => {
      const error = isOutage
        ? new AuthenticatorError('unavailable', `no answer within ${inWords(timeout)}`)
        : new AuthenticatorError(
            'failed',
            `the backend answers, but this lookup did not end within ${inWords(timeout)}`,
          );
      end(error, isOutage ? 'outage' : 'answered');
      abandon(error);
    };
    const leave = () => {
      const error = callerGone(caller.signal);
      // A probe runs on to its own end: callers who hang up must neither close nor open the circuit.
      if (!permit.probe) end(error, 'nothing');
      abandon(error);
    };
    const timer = setTimeout(expire, timeout);
    if (caller.signal.aborted) leave();
    else caller.signal.addEventListener('abort', leave, { once: true });

    const finish = (outcome: CallOutcome) => {
      if (controller.signal.aborted) return; // Settled already, at the deadline or when the caller left.
      clearTimeout(timer);
      caller.signal.removeEventListener('abort', leave);
      permit.settle(outcome);
    };
    work.then(
      (decision) => {
        finish('answered');
        resolve(decision);
      },
      (error: unknown) => {
        finish(AuthenticatorError.is(error) && error.code === 'failed' ? 'answered' : 'outage');
        reject(error);
      },
    );
  });
}

function refusal(caller: AbortSignal, message: string): AuthenticatorError {
  return caller.aborted ? callerGone(caller) : new AuthenticatorError('failed', message);
}

function callerGone(signal: AbortSignal): AuthenticatorError {
  return new AuthenticatorError('unavailable', 'the review ended before the answer', { cause: signal.reason });
}

/** As a config has it: `3s`, or `1500ms`. */
export function inWords(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`;
}

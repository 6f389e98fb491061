import {
  type AuthenticateContext,
  type Authenticator,
  AuthenticatorError,
  type Decision,
} from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import { bounded, type WaitBounds } from '../../base/deadlines.ts';
import type { AuthenticatorConfig } from '../../config/types.ts';
import { createAdmission, createKnownGoodTokens, type KnownGoodTokens } from './admission.ts';
import { after, isPending } from './answer.ts';
import { createCallerGoneError, isAborted, type Link, type LinkContext } from './chain.ts';
import {
  type CallOutcome,
  type CircuitDependencies,
  type CircuitPermit,
  type CircuitState,
  createCircuit,
} from './circuit.ts';
import { layer } from './layer.ts';

/** `timeout` is in milliseconds, for each call, and for the wait before it. */
export type GuardSettings = Pick<
  AuthenticatorConfig,
  'timeout' | 'maxConcurrent' | 'maxWaiting' | 'circuit'
>;

export interface GuardDependencies extends CircuitDependencies {
  /**
   * Called once for each call that still runs although no one waits for it any more. `work` settles when the plugin's own
   * promise has, and never rejects.
   */
  readonly onAbandoned: (work: Promise<unknown>) => void;
  /** Default: the tokens that this guard alone has seen. */
  readonly knownGood?: KnownGoodTokens | undefined;
}

/** A plugin within its bounds. */
export interface Guard extends Authenticator {
  readonly circuitState: CircuitState;
  /** Says that the plugin has a connection to its backend again: see `PluginContext.backendReconnected`. */
  readonly reconnected: () => void;
  /**
   * Asks the plugin about a user without a token, within the same bounds: `ask` takes one of the same slots, however many methods of
   * the plugin it calls, and the same circuit counts it.
   *
   * @param name of a user who may never have been let in: such questions are limited as logins of one name are, since an error is not
   *   cached, and one user could ask again and again. Left out: the user was let in before
   */
  readonly askWithin: (context: LinkContext, ask: AskUser, name?: string) => Promise<Decision>;
}

/** Calls `lookUp` and `revalidate` of a plugin. */
type AskUser = (
  plugin: Pick<Authenticator, 'lookUp' | 'revalidate'>,
  context: AuthenticateContext,
) => Promise<Decision>;

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
export function withGuard(
  plugin: Authenticator,
  settings: GuardSettings,
  dependencies: GuardDependencies,
): Guard {
  const circuit = createCircuit(settings.circuit, dependencies);
  const { knownGood = createKnownGoodTokens()('') } = dependencies;
  const { admit, leave } = createAdmission(plugin, settings, circuit, knownGood, dependencies.now);
  const call = createCall(leave, settings, dependencies);

  const askWhenAdmitted = (
    token: string | undefined,
    context: LinkContext,
    ask: Ask,
    onGood: () => unknown,
    lookedUp?: string,
  ): Decision | Promise<Decision> => {
    if (isAborted(context)) return Promise.reject(createCallerGoneError(context.signal));
    return safely(() =>
      after(admit(token, context, lookedUp), (permit) => call(permit, context, ask, onGood)),
    );
  };
  return {
    ...layer(plugin, (token, context) => {
      const ask = (pluginContext: AuthenticateContext) => plugin.authenticate(token, pluginContext);
      return askWhenAdmitted(token, context, ask, () => knownGood.add(token));
    }),
    askWithin: async (context, ask, lookedUp) => {
      const askPlugin = async (pluginContext: AuthenticateContext) => ask(plugin, pluginContext);
      const onGood = () => lookedUp !== undefined && knownGood.addName(lookedUp);
      return askWhenAdmitted(undefined, context, askPlugin, onGood, lookedUp);
    },
    get circuitState() {
      return circuit.state;
    },
    reconnected: circuit.reconnected,
  };
}

type Ask = (context: AuthenticateContext) => Decision | Promise<Decision>;

/** @returns a function that asks the plugin, in a slot that was taken, and gives the slot back by `leave` */
function createCall(
  leave: () => void,
  { timeout }: GuardSettings,
  { onAbandoned }: GuardDependencies,
) {
  return (
    permit: CircuitPermit,
    context: LinkContext,
    ask: Ask,
    onGood: () => unknown,
  ): Decision | Promise<Decision> => {
    const { audiences, hops, trace } = context;
    const controller = new AbortController();
    const progress = { isOutage: true };
    const backendAnswered = () => {
      progress.isOutage = false;
    };
    const pluginContext = {
      audiences,
      hops,
      signal: controller.signal,
      backendAnswered,
      ...(trace && { trace }),
    };
    const answer = safely(() => ask(pluginContext));
    if (!isPending(answer)) {
      // No one waited, so there is nothing to bound, and no backend has shown that the token is good.
      leave();
      permit.settle('answered');
      return answer;
    }
    const finish = (outcome: CallOutcome) => {
      // An aborted call was settled at the deadline, or when its caller left.
      if (!controller.signal.aborted) permit.settle(outcome);
    };
    // The circuit learns of the outcome before the next call takes the slot: many calls may fail at the same moment.
    const work = answer.then(
      (decision) => {
        finish('answered');
        leave();
        if (decision?.kind === 'authenticated') onGood();
        return decision;
      },
      (error: unknown) => {
        finish(AuthenticatorError.is(error) && error.code === 'failed' ? 'answered' : 'outage');
        leave();
        throw error;
      },
    );
    return bound(
      { work, permit, controller, progress, caller: context.signal },
      timeout,
      onAbandoned,
    );
  };
}

/** Runs `work`, and makes a rejection of a throw, and a promise of any thenable. */
function safely(work: () => Decision | Promise<Decision>): Decision | Promise<Decision> {
  try {
    const answer = work();
    return isThenable(answer) ? Promise.resolve(answer) : answer;
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Says whether a plugin's answer is a promise of any kind. The answer may be any value. */
function isThenable(
  answer: Decision | Promise<Decision> | undefined | null,
): answer is Promise<Decision> {
  return typeof (answer as { then?: unknown } | undefined | null)?.then === 'function';
}

/** A call in progress, and what ends it. */
interface CallInProgress {
  /** Settles when the plugin's own promise has. */
  readonly work: Promise<Decision>;
  readonly permit: CircuitPermit;
  readonly controller: AbortController;
  readonly progress: { readonly isOutage: boolean };
  readonly caller: AbortSignal;
}

/** One call in progress, until the first of these: the plugin's answer, the deadline, the caller's abort. */
function bound(
  { work, permit, controller, progress, caller }: CallInProgress,
  timeout: number,
  onAbandoned: (work: Promise<unknown>) => void,
): Promise<Decision> {
  let isAbandoned = false;
  const abandon = (error: AuthenticatorError) => {
    if (!isAbandoned) onAbandoned(work.catch(() => undefined));
    isAbandoned = true;
    return error;
  };
  const end = (error: AuthenticatorError, outcome: CallOutcome) => {
    permit.settle(outcome);
    controller.abort(error);
    return abandon(error);
  };
  const late = () => {
    const inTime = `within ${durationText(timeout)}`;
    if (progress.isOutage)
      return end(new AuthenticatorError('unavailable', `no answer ${inTime}`), 'outage');
    const message = `the backend answers, but this lookup did not end ${inTime}`;
    return end(new AuthenticatorError('failed', message), 'answered');
  };
  const waitFor = (call: Promise<Decision>, bounds: WaitBounds) =>
    bounded<Decision>(bounds, (resolve, reject) => void call.then(resolve, reject));
  if (!permit.probe) {
    const aborted = () => end(createCallerGoneError(caller), 'nothing');
    return waitFor(work, { limit: timeout, late, signal: caller, aborted });
  }
  // A probe runs on to its own end: callers who hang up must neither close nor open the circuit.
  const probe = waitFor(work, { limit: timeout, late });
  probe.catch(() => undefined);
  return waitFor(probe, { signal: caller, aborted: () => abandon(createCallerGoneError(caller)) });
}

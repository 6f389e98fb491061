import type { Authenticator, Logger } from '@sallyport/authenticator';
import type { AuthenticatorConfig, IdentityConfig } from '../config/types.ts';
import { withAudiences } from './audiences.ts';
import type { Link } from './chain.ts';
import type { CircuitState } from './circuit.ts';
import { withSoundDecision } from './decision.ts';
import { type Guard, type GuardSettings, withGuard } from './guard.ts';
import { type IdentityPrefixes, withIdentityPolicy } from './identity-policy.ts';

/** Both in milliseconds. */
interface Clocks {
  /** Never set back: for durations and deadlines. */
  readonly monotonic: () => number;
  /** Since 1970: for the ends that tokens carry. */
  readonly wall: () => number;
}

/** What the layers need of an authenticator's config. */
type LinkConfig = IdentityConfig & GuardSettings & Pick<AuthenticatorConfig, 'name' | 'onError'>;

export interface AssembleOptions {
  readonly config: LinkConfig;
  /** What the plugin made. */
  readonly authenticator: Authenticator;
  readonly prefixes: IdentityPrefixes;
  readonly apiAudiences: () => readonly string[];
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly clocks: Clocks;
  /** See `GuardDependencies`. */
  readonly onAbandoned: (work: Promise<unknown>) => void;
}

/** A link of the chain whose bounds can be looked at. */
export interface GuardedLink extends Link {
  readonly guard: Guard;
}

/**
 * Stacks the layers of one authenticator: policy(audiences(soundDecision(guard(plugin)))). What a cache keeps is a
 * sound decision; the policy and the audiences judge cached answers as well as fresh ones. The policy comes last, so
 * that every subject of a refusal is the name as the backend knows it.
 */
export function assembleLink(options: AssembleOptions): GuardedLink {
  const { config, clocks, log } = options;
  const guard = withGuard(options.authenticator, config, {
    now: clocks.monotonic,
    onAbandoned: options.onAbandoned,
    onStateChange: (state) => tellState(config, state, log),
  });
  const judged = withAudiences(withSoundDecision(guard, clocks.wall), options.apiAudiences);
  const authenticator = withIdentityPolicy(judged, config, options.prefixes, log);
  return { name: config.name, onError: config.onError, authenticator, guard };
}

function tellState(config: LinkConfig, state: CircuitState, log: Pick<Logger, 'info' | 'warn'>): void {
  const fields = { authenticator: config.name, circuit: state };
  if (state === 'open') {
    log.warn(fields, `authenticator left alone for ${config.circuit.openFor} ms: at least half of its calls failed`);
  } else if (state === 'closed') log.info(fields, 'authenticator answers again');
}

import type { Authenticator, Logger } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import type { Clocks } from '../base/clocks.ts';
import type { AuthenticatorConfig, IdentityConfig } from '../config/types.ts';
import { type CacheDependencies, withCache } from '../engine/cache/with-cache.ts';
import type { CircuitState } from '../engine/chain/circuit.ts';
import { withCheckedDecision } from '../engine/chain/decision.ts';
import {
  type Guard,
  type GuardDependencies,
  type GuardedLink,
  type GuardSettings,
  withGuard,
} from '../engine/chain/guard.ts';
import {
  type IdentityPrefixes,
  type PolicyLog,
  withIdentityPolicy,
} from '../engine/chain/identity-policy.ts';
import { type Provenance, withAudiences, withProvenance } from '../engine/chain/layer.ts';
import { type Directory, withDirectory } from '../engine/directory/with-directory.ts';
import type { Blocks } from '../engine/revocation/list.ts';
import { withBlocks } from '../engine/revocation/with-blocks.ts';
import { withCredentialIds } from '../engine/revocation/with-credential-ids.ts';
import { withEnded } from '../engine/sessions/with-ended.ts';
import { type SessionDependencies, withSessions } from '../engine/sessions/with-sessions.ts';

type LinkConfig = IdentityConfig &
  GuardSettings &
  Pick<AuthenticatorConfig, 'name' | 'onError' | 'cache' | 'fingerprint'>;

/** The parts that the layers of all authenticators share. */
export interface SharedParts extends Pick<GuardDependencies, 'onAbandoned'> {
  readonly prefixes: IdentityPrefixes;
  readonly apiAudiences: () => readonly string[];
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly policyLog: PolicyLog;
  readonly clocks: Clocks;
  /** Undefined: nothing is cached, whatever the config says. */
  readonly cache?: Omit<CacheDependencies, 'clocks'> | undefined;
  readonly blocks: Blocks;
  /** Whether users get the IDs of their credentials: `server.authorize`. Default: they do not. */
  readonly hasCredentialIds?: boolean;
  /** Undefined: identities are as the backend gives them. */
  readonly provenance?: Provenance | undefined;
}

/** One authenticator, before its layers. */
interface LinkParts extends SharedParts {
  readonly config: LinkConfig;
  readonly authenticator: Authenticator;
}

/** One authenticator with its guard, which its link, its logins and its directory share: the same slots, and the same circuit. */
export interface GuardedParts extends LinkParts {
  readonly config: AuthenticatorConfig;
  readonly guard: Guard;
}

export interface AssembleOptions extends LinkParts {
  readonly guard: Guard;
  /** Set for the authenticator of `login.sessions`, whose tokens are sessions and nothing else. */
  readonly sessions?: LinkSessions | undefined;
  /** Set for an authenticator with `directory` in its config. */
  readonly directory?: Directory | undefined;
}

interface LinkSessions extends SessionDependencies {
  /** Whether the session of a token is known to have ended. */
  readonly hasEnded: (token: string) => boolean;
}

/** Makes the innermost layer of one authenticator, which its link and its logins share. */
export function assembleGuard(
  linkParts: LinkParts,
  knownGood?: GuardDependencies['knownGood'],
): Guard {
  const { config, authenticator, clocks, logger, onAbandoned } = linkParts;
  const onStateChange = (state: CircuitState) => logCircuit(config, state, logger);
  return withGuard(authenticator, config, {
    now: clocks.monotonic,
    onAbandoned,
    knownGood,
    onStateChange,
  });
}

/**
 * Stacks the layers of one authenticator: credentialIds(blocks(provenance(directory(policy(audiences(cache(checkedDecision(guard(plugin))))))))).
 *
 * The cache has checked decisions. Audiences, policy and blocks check cached answers as well as fresh ones. Inside of the
 * policy, the subject of a refusal is the name as the backend knows it; blocks use the names that the policy makes. Provenance
 * adds no name, so nothing checks what it adds.
 *
 * The users of sessions are those of other authenticators: a layer around the cache asks for them, and they come with the names
 * that the policies of those authenticators make (`assemble-login.ts`). So there is no policy here.
 */
export function assembleLink(options: AssembleOptions): GuardedLink {
  const { config, authenticator: plugin, guard, clocks, logger } = options;
  const { sessions, directory, provenance } = options;
  const cached = addCache(withCheckedDecision(guard, clocks.wall, sessions !== undefined), options);
  const inForce = sessions ? withEnded(withSessions(cached, sessions), sessions.hasEnded) : cached;
  const bound = withAudiences(inForce, options.apiAudiences);
  const named = sessions ? bound : withPolicy(bound, options);
  const withGroups = directory ? withDirectory(named, directory, config.username.prefix) : named;
  const stamped = provenance
    ? withProvenance(withGroups, config.name, provenance, directory?.config.authenticator)
    : withGroups;
  const blocking = withBlocks(stamped, config.name, options.blocks, logger);
  const isRandom = (token: string) => sessions !== undefined || plugin.isIssued?.(token) === true;
  const authenticator = options.hasCredentialIds ? withCredentialIds(blocking, isRandom) : blocking;
  const recognizes = (token: string) => plugin.recognizes === undefined || plugin.recognizes(token);
  return { name: config.name, onError: config.onError, recognizes, authenticator, guard };
}

/** Makes names by the identity policy of an authenticator, and checks them. */
export function withPolicy(
  inner: Authenticator,
  { config, prefixes, policyLog, provenance }: LinkParts,
): Authenticator {
  return withIdentityPolicy(inner, config, prefixes, policyLog, provenance?.keyPrefix);
}

function addCache(
  inner: Authenticator,
  { config, authenticator: plugin, cache, clocks, sessions }: AssembleOptions,
): Authenticator {
  if (cache === undefined || config.cache === 'off') return inner;
  const { name, fingerprint, username } = config;
  // The fingerprint differs, since what was cached before an authenticator had sessions has passed other layers.
  const settings = {
    ...config.cache,
    name,
    fingerprint: sessions ? `${fingerprint} sessions` : fingerprint,
    usernamePrefix: username.prefix,
    answersVersion: plugin.answersVersion?.bind(plugin),
  };
  return withCache(inner, settings, { ...cache, clocks });
}

function logCircuit(
  { name, circuit }: LinkConfig,
  state: CircuitState,
  logger: SharedParts['logger'],
): void {
  const fields = { authenticator: name, circuit: state };
  if (state === 'open') {
    const openFor = durationText(circuit.openFor);
    logger.warn(
      { ...fields, openFor },
      "circuit opened: at least half of this authenticator's recent calls failed",
    );
  } else if (state === 'closed') logger.info(fields, 'circuit closed: authenticator recovered');
}

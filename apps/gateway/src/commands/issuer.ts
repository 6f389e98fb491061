import type {
  IssuedToken,
  Revocation,
  RevokedToken,
  TokenFilter,
  TokenIssuer,
  TokenRequest,
  TokenSelection,
  UnreadableToken,
  UserInfo,
} from '@sallyport/authenticator';
import { type Breach, identityPolicy, identityPrefixes, type JudgedUser } from '../chain/identity-policy.ts';
import { formatProblem, nearest } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createLogger } from '../logging/logger.ts';
import { closeMade, createTokenIssuer, type IssuingAuthenticator, issuesTokens } from '../runtime/authenticators.ts';
import { createSessionTexts, type Session } from '../sessions/session-text.ts';
import { localAttempts } from './cache-redis.ts';
import { commandLine } from './command-line.ts';
import { loadNamedConfig } from './config-file.ts';
import { UsageError } from './exit-codes.ts';
import { createInterrupt, type Interrupt } from './interrupt.ts';

export interface IssuingOptions {
  readonly config?: string;
  readonly authenticator?: string;
}

/** Whose tokens a command is about. */
export interface Issuing {
  readonly config: GatewayConfig;
  readonly authenticator: IssuingAuthenticator;
  /** `--config` as it was given. */
  readonly configOption: string | undefined;
  /** `--authenticator NAME`, for a command to paste; empty where just one issues tokens. */
  readonly authenticatorWords: readonly string[];
  readonly judge: JudgeToken;
}

/** A token's user as Kubernetes sees them, and what the session stands on, if it is one. */
type JudgedToken = JudgedUser & { readonly session?: Session };

/** @param issued left out: the token is to be created */
type JudgeToken = (user: UserInfo, issued?: IssuedToken) => JudgedToken;

/** @throws ConfigError, UsageError, or Error when no authenticator that is meant issues tokens */
export async function loadIssuing(options: IssuingOptions): Promise<Issuing> {
  const config = await loadNamedConfig(options);
  return issuingOf(config, chooseIssuer(config, options.authenticator), options.config);
}

export function issuingOf(config: GatewayConfig, authenticator: IssuingAuthenticator, configOption?: string): Issuing {
  const { authenticators, provenance } = config;
  const isOneOfSeveral = authenticators.filter(issuesTokens).length > 1;
  const authenticatorWords = isOneOfSeveral ? ['--authenticator', authenticator.name] : [];
  const judge =
    authenticator.name === config.login?.sessions
      ? createSessionJudge(config)
      : identityPolicy(authenticator, identityPrefixes(authenticators), provenance?.keyPrefix);
  return { config, authenticator, configOption, authenticatorWords, judge };
}

/** The names in a session are those that Kubernetes sees already. */
function createSessionJudge({ cache }: GatewayConfig): JudgeToken {
  const texts = createSessionTexts(cache.redis?.sealingKeys ?? []);
  return (user, issued) => {
    const session = issued?.session === undefined ? undefined : texts.read(issued.digest, issued.session);
    if (session !== undefined) return { user, session };
    return { user, breach: { rule: 'the session was not written by a gateway with these sealing keys' } };
  };
}

/**
 * Finds the authenticator whose tokens a command is about.
 *
 * @param named the value of `--authenticator`; not needed where just one issues tokens
 * @throws UsageError when it names none, or is needed
 * @throws Error when the one that is meant issues no tokens
 */
export function chooseIssuer(
  config: Pick<GatewayConfig, 'file' | 'authenticators'>,
  named: string | undefined,
): IssuingAuthenticator {
  const { file, authenticators } = config;
  const issuing = authenticators.filter(issuesTokens);
  if (named !== undefined) return findIssuer(named, config, issuing);
  const [first, ...others] = issuing;
  if (first === undefined) {
    const all = authenticators.map((one) => `${one.name} (${one.package})`);
    throw new Error(`no authenticator of ${file} issues tokens; it has ${all.join(', ')}`);
  }
  if (others.length === 0) return first;
  throw new UsageError(`several authenticators issue tokens: write --authenticator ${namesOf(issuing).join(' or ')}`);
}

function findIssuer(
  named: string,
  { file, authenticators }: Pick<GatewayConfig, 'file' | 'authenticators'>,
  issuing: readonly IssuingAuthenticator[],
): IssuingAuthenticator {
  const found = issuing.find(({ name }) => name === named);
  if (found !== undefined) return found;
  const other = authenticators.find(({ name }) => name === named);
  if (other !== undefined) {
    const able = issuing.length === 0 ? 'none in the config does' : `those that do: ${namesOf(issuing).join(', ')}`;
    throw new Error(`authenticator ${named} (${other.package}) issues no tokens; ${able}`);
  }
  const all = namesOf(authenticators);
  const near = nearest(named, all);
  const guess = near === undefined ? '' : ` Did you mean ${near}?`;
  throw new UsageError(`--authenticator: "${named}" is not in ${file}, which has ${all.join(', ')}.${guess}`);
}

function namesOf(authenticators: readonly { readonly name: string }[]): string[] {
  return authenticators.map(({ name }) => name);
}

/** An issuer whose calls end, and whose errors name the authenticator and its place in the config. */
export interface BoundedIssuer {
  create(request: TokenRequest): ReturnType<TokenIssuer['create']>;
  list(filter: TokenFilter): AsyncIterable<IssuedToken | UnreadableToken>;
  revoke(selection: TokenSelection, revocation: Revocation): AsyncIterable<RevokedToken | UnreadableToken>;
}

/** How long an issuer may take to close after Ctrl-C, in milliseconds. */
const hurriedClose = 1_000;

/** Creates an issuer, does `work` with it, and closes it. */
export async function withIssuer<Result>(
  issuing: Issuing,
  work: (issuer: BoundedIssuer) => Promise<Result>,
): Promise<Result> {
  const { config, authenticator } = issuing;
  // The level is `error`, since a failure is thrown as well, and then printed as a sentence rather than a line of JSON.
  const logger = await createLogger('error');
  const dependencies = { logger, attempts: localAttempts(config) };
  const issuer = await createTokenIssuer(authenticator, config.baseDirectory, dependencies).catch((error) => {
    throw problemOf(issuing, error, "can't issue tokens");
  });
  using interrupt = createInterrupt();
  try {
    return await work(bounded(issuer, interrupt, issuing));
  } finally {
    const limit = interrupt.signal.aborted ? hurriedClose : undefined;
    await closeMade('token issuer', issuer, authenticator.name, logger, limit);
  }
}

/** @param secrets that the message must not contain, besides those of the options */
function problemOf({ authenticator }: Issuing, error: unknown, failure: string, secrets?: readonly string[]): Error {
  return new Error(formatProblem(authenticator.problem(error, failure, secrets)));
}

function bounded(issuer: TokenIssuer, interrupt: Interrupt, issuing: Issuing): BoundedIssuer {
  const { signal } = interrupt;
  async function* each<Item>(
    items: () => AsyncIterable<Item>,
    failure: string,
    secrets?: readonly string[],
  ): AsyncGenerator<Item> {
    try {
      yield* interrupt.each(items());
    } catch (error) {
      throw problemOf(issuing, error, failure, secrets);
    }
  }
  return {
    async create(request) {
      try {
        return await interrupt.wait(issuer.create(request, signal));
      } catch (error) {
        if (!signal.aborted) throw problemOf(issuing, error, 'could not make the token');
        // The issuer's own errors say whether a token may be left behind. It was interrupted before it could.
        const words = ['token', 'list', '--user', request.user.username, ...issuing.authenticatorWords];
        const look = commandLine(words, issuing.configOption);
        throw problemOf(issuing, error, `may or may not have made the token. To see it: ${look}`);
      }
    },
    list: (filter) => each(() => issuer.list(filter, signal), 'could not list its tokens'),
    revoke: (selection, revocation) =>
      each(
        () => issuer.revoke(selection, revocation, signal),
        'could not revoke all that was asked',
        'token' in selection ? [selection.token] : [],
      ),
  };
}

/** What would happen if the token were used now. */
type TokenState = 'good' | 'not yet valid' | 'expired' | 'revoked' | 'refused by policy';

/** A token as commands show it. */
export interface SeenToken {
  readonly issued: IssuedToken;
  /** As Kubernetes sees them. */
  readonly user: UserInfo;
  readonly state: TokenState;
  /** The rule of the identity policy that it breaks. */
  readonly breach?: Breach;
  /** Left out: it is no session. */
  readonly session?: Session;
}

/** @param now milliseconds since 1970 */
export function seeToken(issued: IssuedToken, judge: JudgeToken, now: number): SeenToken {
  const judged = judge(issued.user, issued);
  return { issued, ...judged, state: stateOf(issued, judged, now) };
}

/** Of several states, the one that no edit of the config changes comes first. */
function stateOf({ revoked, expiresAt, notBefore }: IssuedToken, { breach }: JudgedUser, now: number): TokenState {
  if (revoked !== undefined) return 'revoked';
  if (expiresAt !== undefined && expiresAt.getTime() <= now) return 'expired';
  if (breach !== undefined) return 'refused by policy';
  if (notBefore !== undefined && notBefore.getTime() > now) return 'not yet valid';
  return 'good';
}

/**
 * A token in JSON: `user` as Kubernetes sees them, `record` as the backend knows them. What is not known is left out, as
 * in the contract of plugins, and so is what else a plugin may put on its objects.
 */
export function toJson({ issued, user, state, breach, session }: SeenToken, authenticator: string): object {
  const { digest, audiences, notBefore, expiresAt, issuedAt, issuedBy, reason, lastUsedAt, revoked } = issued;
  return {
    ...{ authenticator, digest, state, breach, user: userJson(user), record: userJson(issued.user) },
    ...{ audiences, notBefore, expiresAt, issuedAt, issuedBy, reason, lastUsedAt },
    ...(revoked && { revoked: { at: revoked.at, by: revoked.by, reason: revoked.reason } }),
    ...(session && { session: sessionJson(session) }),
  };
}

function sessionJson({ authenticator, cluster, device, address, since, until }: Session): object {
  return { authenticator, cluster, device, address, since: new Date(since), until: new Date(until) };
}

function userJson({ username, uid, groups, extra }: UserInfo): object {
  return { username, uid, groups, extra };
}

import type {
  IssuedToken,
  Revocation,
  TokenFilter,
  TokenIssuer,
  TokenRequest,
  TokenSelection,
  UserInfo,
} from '@sallyport/authenticator';
import { FixableError, nearest, placed } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createIdentityPolicy, type NamedUser } from '../engine/chain/identity-policy.ts';
import { createSessionTexts, type Session } from '../engine/sessions/session-text.ts';
import { isForCluster } from '../engine/sessions/with-sessions.ts';
import { createFactorPolicy, type FactorState } from '../login/factors/policy.ts';
import {
  closeMade,
  createTokenIssuer,
  type IssuingAuthenticator,
  issuesTokens,
} from '../runtime/authenticators.ts';
import { loadNamedConfig } from './config-file.ts';
import { joinAttempts } from './connections.ts';
import type { CommandContext } from './context.ts';
import { createInterrupt, type Interrupt } from './interrupt.ts';
import type { ReadOptions } from './options.ts';
import { UsageError } from './output.ts';
import { commandLine } from './printed-commands.ts';

export async function loadIssuer(
  context: CommandContext,
  options: ReadOptions & { readonly authenticator?: string },
): Promise<IssuerSetup> {
  const config = await loadNamedConfig(context, options);
  return setUpIssuer(context, config, chooseIssuer(config, options.authenticator));
}

export type IssuerSetup = ReturnType<typeof setUpIssuer>;

/** Puts together what commands need of an authenticator that issues tokens. */
export function setUpIssuer(
  context: CommandContext,
  config: GatewayConfig,
  authenticator: IssuingAuthenticator,
) {
  const { login } = config;
  const nameUser: NameTokenUser =
    login !== undefined && authenticator.name === login.sessions
      ? createSessionNaming(config, login)
      : createIdentityPolicy(config, authenticator);
  const authenticatorArgs =
    config.authenticators.filter(issuesTokens).length > 1
      ? ['--authenticator', authenticator.name]
      : [];
  /** Makes a command to paste, with `--authenticator NAME` where more than one issues tokens. */
  const toPaste = (...args: readonly string[]) =>
    commandLine(context, [...args, ...authenticatorArgs]);
  const checkCommand = commandLine(context, ['check']);
  return { config, authenticator, nameUser, toPaste, checkCommand };
}

/** Returns a token's user as Kubernetes sees them, and its session. @param issued left out: the token is to be created */
type NameTokenUser = (user: UserInfo, issued?: IssuedToken) => NamedUser & TokenSession;

interface TokenSession {
  readonly session?: Session;
  /** None of the sealing keys of this config opens it. */
  readonly isSealedElsewhere?: boolean;
  /** Why reviews refuse the session, whatever its user is. */
  readonly refusal?: ReturnType<typeof findRefusal>;
  readonly factorState?: FactorState;
}

/** Makes the naming of sessions, whose names are already those that Kubernetes sees. */
function createSessionNaming(
  { cache }: GatewayConfig,
  login: NonNullable<GatewayConfig['login']>,
): NameTokenUser {
  const factorPolicy = createFactorPolicy(login);
  const texts = createSessionTexts(cache.redis?.sealingKeys ?? []);
  return (user, issued) => {
    const text = issued?.session;
    const session =
      issued === undefined || text === undefined ? undefined : texts.read(issued.digest, text);
    // Only the directory knows the groups of the user.
    if (session !== undefined) {
      const refusal = findRefusal(session, login);
      return { user, session, refusal, factorState: factorPolicy.findState(session, undefined) };
    }
    const violation = { rule: 'the session was not written by a gateway with these sealing keys' };
    return { user, violation, isSealedElsewhere: text !== undefined };
  };
}

/** Says why reviews refuse a session whatever its user is: what it was made with is not in the config now. */
function findRefusal(
  session: Session,
  { clusters, authenticators, providers }: NonNullable<GatewayConfig['login']>,
) {
  if (!isForCluster(session, clusters)) return 'its cluster is not in login.clusters';
  const { authenticator, provider } = session;
  const isInLogin =
    provider === undefined
      ? authenticators.includes(authenticator)
      : providers[provider.name]?.authenticator === authenticator;
  if (isInLogin) return undefined;
  return provider === undefined
    ? 'its authenticator is not in login'
    : 'its provider is not in login';
}

type IssuersConfig = Pick<GatewayConfig, 'file' | 'authenticators' | 'login'>;

/** Chooses the issuer. @param wantedName `--authenticator`; not needed if only one issues tokens, besides the one of sessions */
export function chooseIssuer({ file, authenticators, login }: IssuersConfig, wantedName?: string) {
  const issuers = authenticators.filter(issuesTokens);
  const names = issuers.map(({ name }) => name);
  const tokenIssuers =
    issuers.length > 1 ? issuers.filter(({ name }) => name !== login?.sessions) : issuers;
  const candidates =
    wantedName === undefined ? tokenIssuers : issuers.filter(({ name }) => name === wantedName);
  if (candidates.length > 1) {
    throw new UsageError(
      'several authenticators issue tokens',
      `write --authenticator ${tokenIssuers.map(({ name }) => name).join(' or ')}`,
    );
  }
  const [issuer] = candidates;
  if (issuer !== undefined) return issuer;
  if (wantedName === undefined) {
    const listed = authenticators.map((a) => `${a.name} (${a.package})`);
    throw new Error(`no authenticator in ${file} issues tokens: it has ${listed.join(', ')}`);
  }
  const unable = authenticators.find(({ name }) => name === wantedName);
  if (unable !== undefined) {
    const able =
      names.length === 0
        ? 'add an authenticator that does, such as one with use: redis'
        : `write --authenticator ${names.join(' or ')}`;
    throw new FixableError(
      `authenticator ${wantedName} (${unable.package}) doesn't issue tokens`,
      able,
    );
  }
  const configured = authenticators.map(({ name }) => name);
  const near = nearest(wantedName, configured);
  throw new UsageError(
    `--authenticator: "${wantedName}" is not in ${file}`,
    near === undefined ? `write one of: ${configured.join(', ')}` : `did you mean ${near}?`,
  );
}

export async function withIssuer<Result>(
  context: CommandContext,
  setup: IssuerSetup,
  work: (issuer: LimitedIssuer) => Promise<Result>,
) {
  const { config, authenticator } = setup;
  const logger = await context.createLogger('error');
  const dependencies = { logger, attempts: joinAttempts(config).attempts };
  const issuer = await createTokenIssuer(authenticator, config.baseDirectory, dependencies).catch(
    (error) => {
      throw describeProblem(setup, error, "can't issue tokens");
    },
  );
  using interrupt = createInterrupt();
  try {
    return await work(limitIssuer(issuer, interrupt, setup));
  } finally {
    // After Ctrl-C, no one wants to wait longer than a second.
    const limit = interrupt.signal.aborted ? 1_000 : undefined;
    await closeMade('token issuer', issuer, authenticator.name, logger, limit);
  }
}

/** Makes an error at the authenticator's line. @param secrets that the message must not contain, besides the secrets of its options */
function describeProblem(
  { authenticator }: IssuerSetup,
  error: unknown,
  failure: string,
  secrets?: readonly string[],
): FixableError {
  const { message, fix } = placed(authenticator.problem(error, failure, secrets));
  return new FixableError(message, fix);
}

/** An issuer whose calls end, and whose errors name the authenticator and its place in the config. */
type LimitedIssuer = ReturnType<typeof limitIssuer>;

function limitIssuer(
  issuer: TokenIssuer,
  { signal, wait, limitEach }: Interrupt,
  setup: IssuerSetup,
) {
  const describeCall = (error: unknown, failure: string, secrets?: readonly string[]) => {
    const described = describeProblem(setup, error, failure, secrets);
    if (described.fix !== undefined || signal.aborted) return described;
    const fix = `make its backend answer, and run the command again. To see whether it answers, run: ${setup.checkCommand}`;
    return new FixableError(described.problem, fix);
  };
  async function* reportErrors<Item>(
    list: () => AsyncIterable<Item>,
    failure: string,
    secrets?: readonly string[],
  ) {
    try {
      yield* limitEach(list());
    } catch (error) {
      throw describeCall(error, failure, secrets);
    }
  }
  return {
    async create(request: TokenRequest) {
      try {
        return await wait(() => issuer.create(request, signal));
      } catch (error) {
        if (!signal.aborted) throw describeCall(error, 'could not make the token');
        // The issuer's own errors say whether a token may be left behind. Here it was interrupted, and could not say so.
        const look = setup.toPaste('token', 'list', '--user', request.user.username);
        const { problem } = describeProblem(setup, error, 'might have made the token');
        throw new FixableError(problem, `to see whether it did, run: ${look}`);
      }
    },
    list: (filter: TokenFilter) =>
      reportErrors(() => issuer.list(filter, signal), 'could not list its tokens'),
    revoke(selection: TokenSelection, revocation: Revocation) {
      const secrets = 'token' in selection ? [selection.token] : [];
      return reportErrors(
        () => issuer.revoke(selection, revocation, signal),
        'could not revoke everything',
        secrets,
      );
    },
  };
}

/** A token as commands show it: its user as Kubernetes sees them, and what would happen if it were used now. */
export type SeenToken = ReturnType<typeof seeToken>;

export function seeToken(issued: IssuedToken, nameUser: NameTokenUser, now: number) {
  const namedUser = nameUser(issued.user, issued);
  return { issued, ...namedUser, state: findState(issued, namedUser, now) };
}

/** Returns the state of a token. If several apply, the state that no edit of the config changes comes first. */
function findState(
  { revoked, expiresAt, notBefore }: IssuedToken,
  {
    violation,
    isSealedElsewhere = false,
    refusal,
    factorState = 'good',
  }: ReturnType<NameTokenUser>,
  now: number,
) {
  if (revoked !== undefined) return 'revoked';
  if (expiresAt !== undefined && expiresAt.getTime() <= now) return 'expired';
  if (isSealedElsewhere) return 'sealed with other keys';
  if (violation !== undefined) return 'refused by policy';
  if (notBefore !== undefined && notBefore.getTime() > now) return 'not yet valid';
  return refusal ?? factorState;
}

/**
 * Makes the JSON of a token: `user` as Kubernetes sees them, `record` as the backend knows them. What is not known is left out, as
 * in the contract of plugins, and so is what else a plugin may put on its objects.
 */
export function toJson(
  { issued, user, state, violation, session }: SeenToken,
  authenticator: string,
): object {
  const identity = ['username', 'uid', 'groups', 'extra'] as const;
  const dates = session && { since: new Date(session.since), until: new Date(session.until) };
  return {
    authenticator,
    digest: issued.digest,
    state,
    violation,
    user: only(user, ...identity),
    record: only(issued.user, ...identity),
    ...only(
      issued,
      'audiences',
      'notBefore',
      'expiresAt',
      'issuedAt',
      'issuedBy',
      'reason',
      'lastUsedAt',
    ),
    ...(issued.revoked && { revoked: only(issued.revoked, 'at', 'by', 'reason') }),
    ...(session && {
      session: {
        ...only(session, 'authenticator', 'cluster', 'device', 'address', 'amr'),
        ...dates,
        ...(session.provider && { provider: providerJson(session.provider) }),
      },
    }),
  };
}

/** Makes the JSON of how a user logged in at a provider. */
export function providerJson(provider: NonNullable<Session['provider']>): object {
  const { authTime } = provider;
  return {
    ...only(provider, 'name', 'acr', 'amr'),
    ...(authTime !== undefined && { authTime: new Date(authTime) }),
  };
}

function only<Value extends object>(value: Value, ...keys: readonly (keyof Value)[]): object {
  return Object.fromEntries(keys.map((key) => [key, value[key]]));
}

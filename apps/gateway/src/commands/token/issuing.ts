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
import { identityPolicy, identityPrefixes, type JudgedUser } from '../../chain/identity-policy.ts';
import { loadConfig } from '../../config/load.ts';
import { formatProblem } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { createAttempts } from '../../lockout/attempts.ts';
import { createLogger } from '../../logging/logger.ts';
import { closeMade, createTokenIssuer } from '../../runtime/authenticators.ts';
import { commandLine } from '../command-line.ts';
import { configFile } from '../config-file.ts';
import { type ChosenIssuer, chooseIssuer } from './choose-issuer.ts';
import { createPatience, type Patience } from './patience.ts';

export interface IssuingOptions {
  readonly config?: string;
  readonly authenticator?: string;
}

/** Whose tokens a command is about. */
export interface Issuing extends ChosenIssuer {
  readonly config: GatewayConfig;
  /** `--config` as it was given. */
  readonly configOption: string | undefined;
  /** A token's user as Kubernetes sees them. */
  readonly judge: (user: UserInfo) => JudgedUser;
}

/** An issuer whose calls end, and whose errors name the authenticator and its place in the config. */
export interface BoundedIssuer {
  create(request: TokenRequest): ReturnType<TokenIssuer['create']>;
  list(filter: TokenFilter): AsyncIterable<IssuedToken | UnreadableToken>;
  revoke(selection: TokenSelection, revocation: Revocation): AsyncIterable<RevokedToken | UnreadableToken>;
}

/** How long an issuer may take to close after Ctrl-C, in milliseconds. */
const hurriedClose = 1_000;

/** @throws ConfigError, UsageError, or Error when no authenticator that is meant issues tokens */
export async function loadIssuing(options: IssuingOptions): Promise<Issuing> {
  const config = await loadConfig(configFile(options.config).file, process.env);
  return issuingOf(config, chooseIssuer(config, options.authenticator), options.config);
}

export function issuingOf(config: GatewayConfig, chosen: ChosenIssuer, configOption: string | undefined): Issuing {
  const judge = identityPolicy(
    chosen.authenticator,
    identityPrefixes(config.authenticators),
    config.provenance?.keyPrefix,
  );
  return { config, configOption, ...chosen, judge };
}

/** Has `work` done with an issuer that is made for it, and closed after it. */
export async function withIssuer<Result>(
  issuing: Issuing,
  work: (issuer: BoundedIssuer) => Promise<Result>,
): Promise<Result> {
  const { config, authenticator } = issuing;
  // What an issuer could warn of, it throws too, and then it is told in words and not as a line of JSON.
  const logger = createLogger('error');
  const attempts = createAttempts(() => config.lockout, { now: () => performance.now() });
  const fault: Fault = (error, ...more) => new Error(formatProblem(authenticator.problem(error, ...more)));
  const issuer = await createTokenIssuer(authenticator, config.baseDirectory, { logger, attempts }).catch((error) => {
    throw fault(error, "can't issue tokens");
  });
  using patience = createPatience();
  try {
    return await work(bounded(issuer, patience, fault, issuing));
  } finally {
    const limit = patience.signal.aborted ? hurriedClose : undefined;
    await closeMade('token issuer', issuer, authenticator.name, logger, limit);
  }
}

/** @param secrets that the message must not tell, besides those of the options */
type Fault = (error: unknown, failure: string, secrets?: readonly string[]) => Error;

function bounded(
  issuer: TokenIssuer,
  patience: Patience,
  fault: Fault,
  { authenticator, isOneOfSeveral, configOption }: Issuing,
): BoundedIssuer {
  const { signal } = patience;
  async function* each<Item>(
    items: () => AsyncIterable<Item>,
    failure: string,
    secrets?: readonly string[],
  ): AsyncGenerator<Item> {
    try {
      yield* patience.each(items());
    } catch (error) {
      throw fault(error, failure, secrets);
    }
  }
  return {
    async create(request) {
      try {
        return await patience.wait(issuer.create(request, signal));
      } catch (error) {
        if (!signal.aborted) throw fault(error, 'could not make the token');
        // Its own errors say whether something is left behind; but it was not let speak.
        const whose = isOneOfSeveral ? ['--authenticator', authenticator.name] : [];
        const look = commandLine(['token', 'list', '--user', request.user.username, ...whose], configOption);
        throw fault(error, `may or may not have made the token. To see it: ${look}`);
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

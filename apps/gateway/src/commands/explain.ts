import type { Decision } from '@sallyport/authenticator';
import { type Answer, ChainError } from '../chain/chain.ts';
import { loadConfig } from '../config/load.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createLogger } from '../logging/logger.ts';
import { createGeneration } from '../runtime/generation.ts';
import { isCheckable, type ReviewResult, toTokenReview } from '../server/token-review.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { configFile } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { createObserver, type Observed, observedJson, printGroups, printSteps } from './explain-report.ts';
import { explainUser } from './explain-user.ts';
import { readToken } from './input.ts';
import { joinAttempts } from './joined-attempts.ts';
import { readBlocks } from './known-blocks.ts';
import { type OutputFormat, printJson, printTable } from './output.ts';
import { requirePrefix } from './prefixed-name.ts';
import { cacheRedisOf, withCacheRedis } from './stopping/cache-redis.ts';
import { refuseEmpty } from './token/empty-options.ts';
import { UsageError } from './usage-error.ts';

export interface ExplainOptions {
  readonly config?: string;
  readonly audience?: readonly string[];
  /** As Kubernetes sees them: no token is read. */
  readonly user?: string;
  /** The name is meant as it is, though it begins with no prefix of the config. */
  readonly exact?: boolean;
  readonly output: OutputFormat;
}

/** Asks the chain of the config about one token, in this process, and shows what each authenticator said. */
export async function explain(options: ExplainOptions): Promise<ExitCode> {
  const config = await loadConfig(configFile(options.config).file, process.env);
  const { user, audience, output } = options;
  refuseEmpty({ '--user': user });
  if (user !== undefined && audience !== undefined) {
    throw new UsageError('--audience is of a token: leave it out with --user');
  }
  if (user !== undefined) requirePrefix('user', user, config.authenticators, options.exact);
  const token = user === undefined ? await readToken() : '';
  const place = cacheRedisOf(config);
  const ask = (redis?: ProbedRedis) =>
    user === undefined ? explainToken(config, token, options, redis) : explainUser(config, user, output, redis);
  return place === undefined ? ask() : withCacheRedis(place, ask);
}

async function explainToken(
  config: GatewayConfig,
  token: string,
  options: ExplainOptions,
  redis: ProbedRedis | undefined,
): Promise<ExitCode> {
  const { blocks, isRead, fault } = await readBlocks(redis);
  if (fault !== undefined) process.stderr.write(`warning: who is blocked or locked out could not be read: ${fault}\n`);
  const { attempts, written } = joinAttempts(config.lockout, isRead ? redis : undefined);
  const generation = await createGeneration(config, {
    // What the identity policy objects to is told by a warning.
    logger: createLogger('warn'),
    attempts,
    blocks,
    onAbandoned: () => undefined,
  });
  const answers: Answer[] = [];
  const observer = createObserver(config.authenticators);
  const { maxTokenSize } = config.server;
  const checkable = isCheckable(token, maxTokenSize);
  let result: ReviewResult = { kind: 'no-opinion' };
  try {
    if (checkable) {
      result = await generation.authenticate(token, {
        audiences: options.audience ?? [],
        signal: AbortSignal.timeout(config.server.reviewTimeout),
        onAnswer: (answer) => answers.push(answer),
        observer,
      });
    }
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    result = { kind: 'error', message: error.message, authenticators: error.authenticators };
  } finally {
    await generation.retire(0);
    await written();
  }
  const notAsked = checkable ? '' : `the token is over server.maxTokenSize (${maxTokenSize} bytes) or no valid UTF-8`;
  const rows = config.authenticators.map(({ name }) => {
    const answer = answers.find(({ authenticator }) => authenticator === name);
    return answer === undefined
      ? { authenticator: name, answer: 'not asked', reason: notAsked, milliseconds: null }
      : rowOf(answer);
  });
  print(rows, observer, result, options.output);
  return exitCodeOf(result);
}

function exitCodeOf({ kind }: ReviewResult): ExitCode {
  if (kind === 'authenticated') return exitCodes.success;
  return kind === 'error' ? exitCodes.fault : exitCodes.refused;
}

interface Row {
  readonly authenticator: string;
  readonly answer: string;
  readonly reason: string;
  /** Null for those that were not asked. */
  readonly milliseconds: number | null;
}

function print(rows: readonly Row[], observed: Observed, result: ReviewResult, output: OutputFormat): void {
  const { status } = toTokenReview('authentication.k8s.io/v1', result);
  if (output === 'json') {
    printJson({ authenticators: rows, ...observedJson(observed), status });
    return;
  }
  printTable(
    ['AUTHENTICATOR', 'ANSWER', 'REASON', 'TIME'],
    rows.map((row) => [
      row.authenticator,
      row.answer,
      row.reason,
      row.milliseconds === null ? '' : `${row.milliseconds.toFixed(1)}ms`,
    ]),
  );
  printGroups(observed.groups);
  printSteps(observed.steps);
  process.stdout.write(`\nkube-apiserver would get: ${JSON.stringify(status, null, 2)}\n`);
}

function rowOf(answer: Answer): Row {
  const { authenticator, seconds } = answer;
  const row = { authenticator, milliseconds: seconds * 1000 };
  if ('error' in answer) return { ...row, answer: 'could not be checked', reason: answer.error.message };
  const { decision, recognized } = answer;
  return { ...row, answer: decision.kind, reason: reasonOf(decision, recognized) };
}

function reasonOf(decision: Decision, recognized: boolean): string {
  if (decision.kind === 'authenticated') return decision.user.username;
  if (decision.kind === 'rejected') return decision.reason;
  return recognized ? 'does not know the token' : 'not the shape of its tokens';
}

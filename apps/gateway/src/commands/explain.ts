import type { Decision } from '@sallyport/authenticator';
import { type Answer, ChainError } from '../chain/chain.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createLogger } from '../logging/logger.ts';
import { printable } from '../logging/printable.ts';
import type { Blocks, Entry } from '../revocation/list.ts';
import { createGeneration } from '../runtime/generation.ts';
import { isCheckable, type ReviewResult, toTokenReview } from '../server/token-review.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { joinAttempts, readBlocks, withCacheRedis } from './cache-redis.ts';
import { loadNamedConfig } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { createObserver, type Observed, observedJson, printObserved } from './explain-report.ts';
import { explainUser } from './explain-user.ts';
import { readToken } from './input.ts';
import { type OutputFormat, printJson, printTable } from './output.ts';
import { entryJson } from './report.ts';
import { nameSubject, namingAuthenticators, requirePrefix } from './subject.ts';
import { momentText } from './times.ts';

export interface ExplainOptions {
  readonly config?: string;
  readonly audience?: readonly string[];
  /** A user as Kubernetes sees them: no token is read. */
  readonly user?: string;
  /** The name is meant as it is, though it begins with no prefix of the config. */
  readonly exact?: boolean;
  readonly output: OutputFormat;
}

/** Asks the chain of the config about one token, in this process, and shows what each authenticator said. */
export async function explain(options: ExplainOptions): Promise<ExitCode> {
  const config = await loadNamedConfig(options);
  const { user, output } = options;
  if (user !== undefined) requirePrefix('user', user, namingAuthenticators(config), options.exact);
  const token = user === undefined ? await readToken() : '';
  const ask = (redis?: ProbedRedis) =>
    user === undefined ? explainToken(config, token, options, redis) : explainUser(config, user, output, redis);
  return config.cache.redis === undefined ? ask() : withCacheRedis(config, ask);
}

async function explainToken(
  config: GatewayConfig,
  token: string,
  options: ExplainOptions,
  redis: ProbedRedis | undefined,
): Promise<ExitCode> {
  const { blocks, isRead } = await readBlocks(redis);
  const { attempts, written } = joinAttempts(config.lockout, isRead ? redis : undefined);
  const generation = await createGeneration(config, {
    // The identity policy logs its objections as warnings.
    logger: await createLogger('warn'),
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
  const block = isBlocked(result) ? findBlock(blocks, token, observer) : undefined;
  print(rows, observer, block, result, options.output);
  return exitCodeOf(result);
}

function isBlocked(result: ReviewResult): boolean {
  return result.kind === 'rejected' && result.reason === 'blocked';
}

function findBlock(blocks: Blocks, token: string, { groups, credential }: Observed): Entry | undefined {
  const ofUsers = groups.map((one) =>
    blocks.ofUser(
      one.username,
      one.groups.flatMap(({ name }) => name ?? []),
    ),
  );
  return (
    blocks.ofToken(token) ??
    ofUsers.find((block) => block !== undefined) ??
    (credential && blocks.ofCredential(credential))
  );
}

function exitCodeOf({ kind }: ReviewResult): ExitCode {
  if (kind === 'authenticated') return exitCodes.success;
  return kind === 'error' ? exitCodes.failure : exitCodes.negative;
}

interface Row {
  readonly authenticator: string;
  readonly answer: string;
  readonly reason: string;
  /** Null for those that were not asked. */
  readonly milliseconds: number | null;
}

function print(
  rows: readonly Row[],
  observed: Observed,
  block: Entry | undefined,
  result: ReviewResult,
  output: OutputFormat,
): void {
  const { status } = toTokenReview('authentication.k8s.io/v1', result);
  const { credential = {} } = observed;
  if (output === 'json') {
    const blocked = block ? entryJson(block) : null;
    printJson({ authenticators: rows, ...observedJson(observed), credential, blocked, status });
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
  printObserved(observed);
  const ids = Object.entries(credential).map(([kind, id]) => `${kind} ${printable(id)}`);
  if (ids.length > 0) process.stdout.write(`\nIDS OF THE TOKEN\n${ids.join('\n')}\n`);
  if (block) {
    const by = `${printable(block.by)}${block.reason === undefined ? '' : `: ${printable(block.reason)}`}`;
    process.stdout.write(`\nBLOCKED\n${nameSubject(block)}, until ${momentText(block.until)}, by ${by}\n`);
  }
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

import { type Answer, ChainError } from '../chain/chain.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createLogger } from '../logging/logger.ts';
import { printable } from '../logging/printable.ts';
import type { Blocks, Entry } from '../revocation/types.ts';
import { createGeneration } from '../runtime/generation.ts';
import { isCheckable, type ReviewResult, toTokenReview } from '../server/token-review.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { loadNamedConfig } from './config-file.ts';
import { joinAttempts, readBlocks, withCacheRedis } from './connections.ts';
import { createObserver, type Observed, printExplanation } from './explain-report.ts';
import { explainUser } from './explain-user.ts';
import { readToken } from './input.ts';
import type { ReadOptions } from './options.ts';
import { type ExitCode, exitCodes } from './output.ts';
import { entryJson } from './report.ts';
import { nameSubject, namingAuthenticators, requirePrefix } from './subject.ts';
import { momentText } from './times.ts';

export interface ExplainOptions extends ReadOptions {
  readonly audience?: readonly string[];
  readonly user?: string;
  readonly exact?: boolean;
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

async function explainToken(config: GatewayConfig, token: string, options: ExplainOptions, redis?: ProbedRedis) {
  const { blocks, isRead } = await readBlocks(redis);
  const { attempts, written } = joinAttempts(config, isRead ? redis : undefined);
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
      : { authenticator: name, ...inWords(answer), milliseconds: answer.seconds * 1000 };
  });
  const isBlocked = result.kind === 'rejected' && result.reason === 'blocked';
  print(rows, observer, isBlocked ? findBlock(blocks, token, observer) : undefined, result, options.output);
  if (result.kind === 'authenticated') return exitCodes.success;
  return result.kind === 'error' ? exitCodes.failure : exitCodes.negative;
}

function findBlock(blocks: Blocks, token: string, { groups, credential }: Observed): Entry | undefined {
  const ofUsers = groups.map(({ username, final }) => blocks.ofUser(username, final));
  const found = [blocks.ofToken(token), ...ofUsers, credential && blocks.ofCredential(credential)];
  return found.find((block) => block !== undefined);
}

interface Row extends Record<'authenticator' | 'answer' | 'reason', string> {
  /** Null for those that were not asked. */
  readonly milliseconds: number | null;
}

function print(
  authenticators: readonly Row[],
  observed: Observed,
  block: Entry | undefined,
  result: ReviewResult,
  output: ReadOptions['output'],
): void {
  const { status } = toTokenReview('authentication.k8s.io/v1', result);
  const { credential = {} } = observed;
  const rows = authenticators.map(({ authenticator, answer, reason, milliseconds }) => {
    return [authenticator, answer, reason, milliseconds === null ? '' : `${milliseconds.toFixed(1)}ms`];
  });
  const ids = Object.entries(credential).map(([kind, id]) => `${kind} ${printable(id)}\n`);
  const by = block && `${printable(block.by)}${block.reason === undefined ? '' : `: ${printable(block.reason)}`}`;
  printExplanation(
    output,
    observed,
    (seen) => ({ authenticators, ...seen, credential, blocked: block ? entryJson(block) : null, status }),
    [['AUTHENTICATOR', 'ANSWER', 'REASON', 'TIME'], rows],
    (ids.length > 0 ? `IDS OF THE TOKEN\n${ids.join('')}\n` : '') +
      (block ? `BLOCKED\n${nameSubject(block)}, until ${momentText(block.until)}, by ${by}\n\n` : '') +
      `kube-apiserver would get: ${JSON.stringify(status, null, 2)}`,
  );
}

function inWords(answer: Answer) {
  if ('error' in answer) return { answer: 'could not be checked', reason: answer.error.message };
  const { decision, recognized } = answer;
  const unknown = recognized ? 'does not know the token' : 'not the shape of its tokens';
  const rejected = decision.kind === 'rejected' ? decision.reason : unknown;
  return { answer: decision.kind, reason: decision.kind === 'authenticated' ? decision.user.username : rejected };
}

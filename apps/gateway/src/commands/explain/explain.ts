import { describeError } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import type { Answer } from '../../engine/chain/chain.ts';
import { digestToken, type RevocationList } from '../../engine/revocation/list.ts';
import { findLoginBlock } from '../../engine/revocation/with-blocks.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { isCheckable } from '../../review/token-review.ts';
import { createGeneration } from '../../runtime/generation.ts';
import { loadNamedConfig } from '../config-file.ts';
import { joinAttempts, readBlocks, withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import type { ReadOptions } from '../options.ts';
import { type ExitCode, exitCodes, printRemark } from '../output.ts';
import { readToken } from '../read-token.ts';
import { namedLockouts } from '../users/named-lockouts.ts';
import { askChain, type ExplainedAnswer } from './ask-chain.ts';
import { readOnlyCaching } from './cached-answers.ts';
import { describeUses, makeRows, printExplanation } from './explain-output.ts';
import { createTrace, type ExplainTrace } from './explain-trace.ts';
import { explainUser } from './explain-user.ts';
import { acceptedSession } from './explained-session.ts';
import { audiencesFor, clusterNote, whyUnrecognized } from './token-clues.ts';

type ExplainOptions = ReadOptions &
  Readonly<{ audience?: readonly string[]; user?: string; exact?: boolean }>;

/** Asks the chain of the config about one token, in this process, and shows what each authenticator said. */
export async function explain(context: CommandContext, options: ExplainOptions): Promise<ExitCode> {
  const config = await loadNamedConfig(context, options);
  const { user } = options;
  const token = user === undefined ? await readToken(context) : '';
  const ask = (redis?: ProbedRedis) =>
    user === undefined
      ? explainToken(context, config, token, options, redis)
      : explainUser(context, config, user, options, redis);
  return config.cache.redis === undefined ? ask() : withCacheRedis(context, config, ask);
}

async function explainToken(
  context: CommandContext,
  config: GatewayConfig,
  token: string,
  options: ExplainOptions,
  redis?: ProbedRedis,
) {
  const { blocks, isRead } = await readBlocks(context, config, redis);
  const { attempts, waitForWrites } = joinAttempts(config, isRead ? redis : undefined);
  let isUnread = redis !== undefined && !isRead;
  const onUnread = () => {
    isUnread = true;
  };
  const generation = await createGeneration(config, {
    // The identity policy logs what it refuses as warnings.
    logger: await context.createLogger('warn'),
    attempts,
    blocks: { ...blocks, isUnknown: false },
    ...(isRead &&
      redis && { caching: readOnlyCaching(config, redis, blocks, options.audience, onUnread) }),
    onAbandoned: () => undefined,
  });
  const { maxTokenSize } = config.server;
  const checkable = isCheckable(token, maxTokenSize);
  const likely = audiencesFor(token, config, generation.created);
  let answer: ExplainedAnswer = {
    result: { kind: 'no-opinion' },
    answers: [],
    trace: createTrace(config),
  };
  try {
    if (checkable) answer = await askChain(generation, config, token, options.audience, likely);
  } finally {
    await generation.retire(0);
    await waitForWrites();
  }
  const { result, answers, trace, condition } = answer;
  const notAsked = checkable
    ? ''
    : `the token is over server.maxTokenSize (${maxTokenSize} bytes) or is not valid UTF-8`;
  const note =
    options.audience === undefined && likely.length > 0 ? clusterNote(result, config) : undefined;
  if (note !== undefined) trace.onStep(config.login?.sessions ?? '', note);
  const refused = refusedUser(config, answers);
  // Whether a token for another audience is blocked is not known yet: blocks are looked at after audiences.
  const mayBeBlocked = refused?.reason === 'blocked' || refused?.reason === 'audience-mismatch';
  const block = mayBeBlocked ? findBlock(blocks, token, trace, refused.user) : undefined;
  const isGuess = refused?.reason === 'invalid-credentials' || refused?.reason === 'throttled';
  const locks =
    isRead && redis && isGuess && refused.user
      ? await readUserLockouts(context, redis, config, refused.user)
      : [];
  const session = acceptedSession(config, token, answers);
  const explanation = {
    trace,
    session,
    block,
    locks,
    result,
    condition,
    uses: describeUses(config, answers, isUnread),
  };
  const whyNot = (name: string) => {
    const created = generation.created.find((c) => c.config.name === name);
    return whyUnrecognized(created?.authenticator ?? {}, token);
  };
  printExplanation(
    context,
    config,
    makeRows(config, answers, notAsked, whyNot),
    explanation,
    options,
  );
  if (condition !== undefined) return exitCodes.dependent;
  if (result.kind === 'authenticated') return exitCodes.success;
  return result.kind === 'error' ? exitCodes.failure : exitCodes.negative;
}

/** Returns why the token was refused, and to whom, as Kubernetes sees them, if the authenticator names a user. */
function refusedUser({ authenticators }: GatewayConfig, answers: readonly Answer[]) {
  const last = answers.at(-1);
  if (!last || !('decision' in last) || last.decision.kind !== 'rejected') return undefined;
  const { reason, subject } = last.decision;
  const prefix = authenticators.find(({ name }) => name === last.authenticator)?.username.prefix;
  return { reason, user: subject === undefined ? undefined : prefix + subject };
}

async function readUserLockouts(
  context: CommandContext,
  redis: ProbedRedis,
  config: GatewayConfig,
  user: string,
) {
  try {
    return await namedLockouts(redis, config, user);
  } catch (error) {
    const { message, fix } = describeError(error);
    printRemark(context, `can't read refused attempts: ${message}`, fix);
    return [];
  }
}

/** @param user who was refused; '' if the authenticator does not say. Their groups are known only after the identity policy */
function findBlock(
  blocks: RevocationList,
  token: string,
  { report, credential }: ExplainTrace,
  user = '',
) {
  const tokenDigest = digestToken(token);
  const users = report.groups.map(({ username, final }) => ({ username, groups: final }));
  return [...users, { username: user }]
    .map((blockable) => findLoginBlock(blocks, { user: blockable, credential, tokenDigest }))
    .find((block) => block !== undefined);
}

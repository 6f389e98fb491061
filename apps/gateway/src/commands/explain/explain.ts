import { AuthenticatorError } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import { describeError } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import type { Answer } from '../../engine/chain/chain.ts';
import { isDirectoryError } from '../../engine/directory/with-directory.ts';
import { digestToken, type Entry, type RevocationList } from '../../engine/revocation/list.ts';
import { findLoginBlock } from '../../engine/revocation/with-blocks.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { isCheckable, type ReviewResult, toTokenReview } from '../../review/token-review.ts';
import { createGeneration } from '../../runtime/generation.ts';
import { lockoutLines } from '../blocks/lockouts.ts';
import { entryJson } from '../blocks/report.ts';
import { loadNamedConfig } from '../config-file.ts';
import { joinAttempts, readBlocks, withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import type { ReadOptions } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printRemark, printTable } from '../output.ts';
import { readToken } from '../read-token.ts';
import { momentText } from '../times.ts';
import { shownAnswer, unavailable } from '../users/look-up-row.ts';
import { lockoutJson, type NamedLockout, namedLockouts } from '../users/named-lockouts.ts';
import { nameSubject } from '../users/subject.ts';
import { askChain, type ExplainedAnswer } from './ask-chain.ts';
import { maxUse, maxUseOfDirectory, ownerOfDirectory, readOnlyCaching } from './cached-answers.ts';
import { createTrace, type ExplainTrace, printTrace } from './explain-trace.ts';
import { explainUser } from './explain-user.ts';
import {
  acceptedSession,
  type ExplainedSession,
  sessionJson,
  sessionLines,
} from './explained-session.ts';
import { describeStatus, statusJson } from './explained-status.ts';
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
  print(context, config, makeRows(config, answers, notAsked, whyNot), explanation, options);
  if (condition !== undefined) return exitCodes.dependent;
  if (result.kind === 'authenticated') return exitCodes.success;
  return result.kind === 'error' ? exitCodes.failure : exitCodes.negative;
}

/** Makes a row for each authenticator. @param whyNot says why an authenticator does not recognize the token */
function makeRows(
  { authenticators }: GatewayConfig,
  answers: readonly Answer[],
  notAsked: string,
  whyNot: (authenticator: string) => string,
) {
  return authenticators.map(({ name: authenticator, reviews }) => {
    const answer = answers.find((a) => a.authenticator === authenticator);
    if (answer === undefined) {
      const reason = reviews ? notAsked : 'no review asks it (reviews: false)';
      return { authenticator, answer: 'not asked', reason, milliseconds: null };
    }
    const row = { authenticator, milliseconds: answer.seconds * 1000 };
    if ('error' in answer) return { ...row, answer: unavailable, reason: answer.error.message };
    const { decision, recognized, failure, until } = answer;
    if (failure !== undefined) {
      const cached = { until: until === undefined ? null : new Date(until) };
      return { ...row, answer: unavailable, reason: failure.message, cached };
    }
    const noOpinionReason = recognized ? 'does not know the token' : whyNot(authenticator);
    const refusalReason = decision.kind === 'rejected' ? decision.reason : noOpinionReason;
    const reason = decision.kind === 'authenticated' ? decision.user.username : refusalReason;
    return { ...row, answer: decision.kind, reason };
  });
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

/** Says what the gateways do while an authenticator can't be asked. @param isUnread whether the cache that they share could not be read */
function describeUses(
  config: GatewayConfig,
  answers: readonly Answer[],
  isUnread: boolean,
): readonly string[] {
  return answers.flatMap((answer) => {
    const { directory } = answer;
    const authenticator =
      directory === undefined
        ? answer.authenticator
        : ownerOfDirectory(config, answer.authenticator, directory.name);
    const failure = 'error' in answer ? answer.error : answer.failure;
    const isDirectoryDown =
      failure !== undefined && directory !== undefined && isDirectoryError(failure, directory.name);
    const down = isDirectoryDown ? directory.name : authenticator;
    const subject = isDirectoryDown ? 'about this user' : 'to this token';
    const isOfUser = AuthenticatorError.is(failure) && failure.code === 'failed';
    const outage = isDirectoryDown
      ? `${down}, the directory of ${authenticator}, ${isOfUser ? 'answers, but could not check this user' : "can't be asked now"}.`
      : `${down} can't be asked now.`;
    if ('until' in answer && answer.until !== undefined) {
      return [
        `${outage} Until ${momentText(answer.until)} at the latest, the gateways use their cached answer ${subject}, shown ` +
          `above. After that, kube-apiserver gets: authenticator ${authenticator} unavailable`,
      ];
    }
    // The token itself was checked if its user could not be looked up.
    const isChecked = directory !== undefined && !isDirectoryDown;
    const maxUseOfSource = isDirectoryDown ? maxUseOfDirectory : maxUse;
    const use = 'error' in answer && !isChecked ? maxUseOfSource(config, authenticator) : 0;
    if (use === 0) return [];
    const sharedCacheSentence = isUnread
      ? " The gateways' shared cache can't be read."
      : ` The gateways' shared cache contains no answer ${subject}.`;
    return [
      `${outage}${config.cache.redis ? sharedCacheSentence : ''} A gateway that has one in its ` +
        `memory, which this command can't see, uses it for up to ${durationText(use)} after ${down} gave it (${isDirectoryDown ? 'refresh and staleTtl' : 'staleTtl'})`,
    ];
  });
}

type Rows = ReturnType<typeof makeRows>;

interface Explanation {
  readonly trace: ExplainTrace;
  /** The session of a user who logged in at a provider, or with a second factor. */
  readonly session: ExplainedSession | undefined;
  readonly block: Entry | undefined;
  readonly locks: readonly NamedLockout[];
  readonly result: ReviewResult;
  readonly condition: ExplainedAnswer['condition'];
  readonly uses: readonly string[];
}

function print(
  context: CommandContext,
  config: GatewayConfig,
  authenticators: Rows,
  { trace, session, block, locks, result, condition, uses }: Explanation,
  options: ReadOptions,
) {
  const { status } = toTokenReview('authentication.k8s.io/v1', result);
  const { credential = {} } = trace;
  if (options.output === 'json') {
    const fleet = { blocked: block ? entryJson(block) : null, lockouts: locks.map(lockoutJson) };
    const sessionMember = session && { session: sessionJson(session) };
    printJson(context, {
      authenticators,
      ...trace.report,
      credential,
      ...sessionMember,
      ...fleet,
      ...statusJson(status, condition),
    });
    return;
  }
  const rows = authenticators.map(({ authenticator, answer, reason, milliseconds }) => {
    return [
      authenticator,
      shownAnswer(answer),
      milliseconds === null ? '' : `${milliseconds.toFixed(1)}ms`,
      reason,
    ];
  });
  printTable(context, ['AUTHENTICATOR', 'ANSWER', 'TIME', 'REASON'], rows);
  printTrace(context, config, trace);
  if (session)
    context.stdout.write(`\nSESSION\n${sessionLines(config, session).map(printable).join('\n')}\n`);
  const ids = Object.entries(credential).map(([kind, id]) => `${kind} ${printable(id)}\n`);
  if (ids.length > 0) context.stdout.write(`\nIDS OF THE TOKEN\n${ids.join('')}`);
  if (block) {
    const authorAndReason = [block.by, block.reason]
      .filter((text) => text !== undefined)
      .map(printable);
    context.stdout.write(
      `\nBLOCKED\n${nameSubject(block)}, until ${momentText(block.until)}, by ${authorAndReason.join(': ')}\n`,
    );
  }
  if (locks.length > 0)
    context.stdout.write(`\nREFUSED ATTEMPTS\n${lockoutLines(context, locks).join('\n')}\n`);
  context.stdout.write(`\n${describeStatus(context, status, condition, config.server)}\n`);
  if (uses.length > 0)
    context.stdout.write(`\nCACHED ANSWERS\n${uses.map((use) => `${use}.\n`).join('')}`);
}

import { AuthenticatorError } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import type { GatewayConfig } from '../../config/types.ts';
import type { Answer } from '../../engine/chain/chain.ts';
import { isDirectoryError } from '../../engine/directory/with-directory.ts';
import type { Entry } from '../../engine/revocation/list.ts';
import { type ReviewResult, toTokenReview } from '../../review/token-review.ts';
import { lockoutLines } from '../blocks/lockouts.ts';
import { entryJson } from '../blocks/report.ts';
import type { CommandContext } from '../context.ts';
import type { ReadOptions } from '../options.ts';
import { printJson, printTable } from '../output.ts';
import { momentText } from '../times.ts';
import { shownAnswer, unavailable } from '../users/look-up-row.ts';
import { lockoutJson, type NamedLockout } from '../users/named-lockouts.ts';
import { nameSubject } from '../users/subject.ts';
import type { ExplainedAnswer } from './ask-chain.ts';
import { maxUse, maxUseOfDirectory, ownerOfDirectory } from './cached-answers.ts';
import { type ExplainTrace, printTrace } from './explain-trace.ts';
import { type ExplainedSession, sessionJson, sessionLines } from './explained-session.ts';
import { describeStatus, statusJson } from './explained-status.ts';

/** Makes a row for each authenticator. @param whyNot says why an authenticator does not recognize the token */
export function makeRows(
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

/** Says what the gateways do while an authenticator can't be asked. @param isUnread whether the cache that they share could not be read */
export function describeUses(
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

/** Prints what `explain` found out about a token. */
export function printExplanation(
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

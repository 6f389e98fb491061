import { AuthenticatorError, type Decision } from '@sallyport/authenticator';
import type { Answer, Source } from '../chain/chain.ts';
import { withoutToken } from '../logging/without-token.ts';
import type { ReviewOutcome, ReviewReport } from '../server/review-report.ts';

/** What an account of one review tells: nothing of the token, and no words of a backend. */
export interface AuditEntry {
  /** The subject of the caller's certificate. Left out: nobody is asked for one. */
  readonly caller: string | undefined;
  readonly outcome: ReviewOutcome;
  readonly reason: string | undefined;
  /** Who decided. Left out: nobody did. */
  readonly authenticator: string | undefined;
  /** Who was let in, as Kubernetes sees them. */
  readonly username: string | undefined;
  readonly uid: string | undefined;
  /** How many. */
  readonly groups: number | undefined;
  /** Who was refused, as the backend knows them. */
  readonly subject: string | undefined;
  /** Where the answer that decided came from. Left out: from its backend, now. */
  readonly cached: Source | undefined;
  readonly seconds: number;
  readonly callerGone: true | undefined;
  /** In the order they were asked. */
  readonly asked: readonly AskedAuthenticator[];
}

interface AskedAuthenticator {
  readonly authenticator: string;
  /** `not-recognized`: not the shape of its tokens, so its backend was not asked. */
  readonly answer: Decision['kind'] | 'not-recognized' | 'error';
  readonly reason: string | undefined;
  readonly cached: Source | undefined;
  /** Why it could not check, also where an earlier answer stood in. `unexpected`: a fault of its plugin. */
  readonly error: string | undefined;
  readonly seconds: number;
}

/** The account of one review. It is made of values that are ours, or that Kubernetes sees. */
export function auditEntry(report: ReviewReport): AuditEntry {
  const { client, outcome, end, answers, token, seconds, callerGone } = report;
  const told = (text: string | undefined) => text && withoutToken(text, token);
  const decided = end instanceof Error || end.kind === 'no-opinion' || end.kind === 'error' ? undefined : end;
  const by = decided && answers.at(-1);
  const user = decided?.kind === 'authenticated' ? decided.user : undefined;
  const refused = decided?.kind === 'rejected' ? decided : undefined;
  // All that there may be, in one shape and in the order of a line: objects of many shapes take five times as long.
  return {
    caller: client,
    outcome,
    reason: told(end instanceof Error ? reasonOf(end, outcome) : end.kind === 'error' ? end.message : refused?.reason),
    authenticator: by?.authenticator,
    cached: by && sourceOf(by),
    username: told(user?.username),
    uid: told(user?.uid),
    groups: user && (user.groups?.length ?? 0),
    subject: told(refused?.subject),
    seconds: rounded(seconds),
    callerGone: callerGone || undefined,
    asked: answers.map(asked),
  };
}

function reasonOf(end: Error, outcome: ReviewOutcome): string {
  return outcome === 'error' ? 'a bug: the log has more' : end.message;
}

function asked(answer: Answer): AskedAuthenticator {
  const { authenticator } = answer;
  const seconds = rounded(answer.seconds);
  const nothing = { reason: undefined, cached: undefined, error: undefined };
  if ('error' in answer) return { authenticator, answer: 'error', ...nothing, error: codeOf(answer.error), seconds };
  const { decision, recognized, failure } = answer;
  return {
    authenticator,
    answer: recognized ? decision.kind : 'not-recognized',
    reason: decision.kind === 'rejected' ? decision.reason : undefined,
    cached: answer.source,
    error: failure && codeOf(failure),
    seconds,
  };
}

function sourceOf(answer: Answer): Source | undefined {
  return 'decision' in answer ? answer.source : undefined;
}

function codeOf(error: Error): string {
  return AuthenticatorError.is(error) ? error.code : 'unexpected';
}

/** To the microsecond: what is beyond is noise. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}

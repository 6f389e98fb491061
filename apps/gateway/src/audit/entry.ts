import { AuthenticatorError, type Decision } from '@sallyport/authenticator';
import type { Source } from '../cache/types.ts';
import type { Answer } from '../chain/answer.ts';
import type { ReviewOutcome, ReviewReport } from '../server/review-report.ts';
import type { ReviewResult } from '../server/token-review.ts';

/** What an account of one review tells: nothing of the token, and no words of a backend. */
export interface AuditEntry {
  /** When it came: ISO 8601, UTC. */
  readonly time: string;
  /** The id that the log's lines about it have too. */
  readonly review: string;
  /** The subject of the caller's certificate. Left out: nobody is asked for one. */
  readonly caller?: string;
  readonly outcome: ReviewOutcome;
  readonly reason?: string;
  /** Who decided. Left out: nobody did. */
  readonly authenticator?: string;
  /** Who was let in, as Kubernetes sees them. */
  readonly username?: string;
  readonly uid?: string;
  /** How many. */
  readonly groups?: number;
  /** Who was refused, as the backend knows them. */
  readonly subject?: string;
  /** Where the answer that decided came from. Left out: from its backend, now. */
  readonly cached?: Source;
  readonly seconds: number;
  readonly callerGone?: true;
  /** In the order they were asked. */
  readonly asked: readonly AskedAuthenticator[];
}

interface AskedAuthenticator {
  readonly authenticator: string;
  /** `not-recognized`: not the shape of its tokens, so its backend was not asked. */
  readonly answer: Decision['kind'] | 'not-recognized' | 'error';
  readonly reason?: string;
  readonly cached?: Source;
  /** Why it could not check, also where an earlier answer stood in. `unexpected`: a fault of its plugin. */
  readonly error?: string;
  readonly seconds: number;
}

/** The account of one review. It is made of values that are ours, or that Kubernetes sees. */
export function auditEntry({ id, at, client, outcome, end, answers, seconds, callerGone }: ReviewReport): AuditEntry {
  return {
    time: new Date(at).toISOString(),
    review: id,
    ...(client !== undefined && { caller: client }),
    outcome,
    ...(end instanceof Error ? { reason: reasonOf(end, outcome) } : told(end, answers.at(-1))),
    seconds: rounded(seconds),
    ...(callerGone && { callerGone }),
    asked: answers.map(asked),
  };
}

function told(end: ReviewResult, last: Answer | undefined): Partial<AuditEntry> {
  if (end.kind === 'no-opinion') return {};
  if (end.kind === 'error') return { reason: end.message };
  const by = last === undefined ? {} : { authenticator: last.authenticator, ...sourceOf(last) };
  if (end.kind === 'rejected')
    return { reason: end.reason, ...by, ...(end.subject !== undefined && { subject: end.subject }) };
  const { username, uid, groups = [] } = end.user;
  return { ...by, username, ...(uid !== undefined && { uid }), groups: groups.length };
}

/** Our own refusals name fields and never values; any other error may quote what it met. */
function reasonOf(end: Error, outcome: ReviewOutcome): string {
  return outcome === 'error' ? 'a bug: the log has more' : end.message;
}

function asked(answer: Answer): AskedAuthenticator {
  const { authenticator } = answer;
  const seconds = rounded(answer.seconds);
  if ('error' in answer) return { authenticator, answer: 'error', error: codeOf(answer.error), seconds };
  const { decision, recognized, failure } = answer;
  return {
    authenticator,
    answer: recognized ? decision.kind : 'not-recognized',
    ...(decision.kind === 'rejected' && { reason: decision.reason }),
    ...sourceOf(answer),
    ...(failure !== undefined && { error: codeOf(failure) }),
    seconds,
  };
}

function sourceOf(answer: Answer): { readonly cached?: Source } {
  return 'decision' in answer && answer.source !== undefined ? { cached: answer.source } : {};
}

function codeOf(error: Error): string {
  return AuthenticatorError.is(error) ? error.code : 'unexpected';
}

/** To the microsecond: what is beyond is noise. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}

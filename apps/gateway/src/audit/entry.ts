import { AuthenticatorError } from '@sallyport/authenticator';
import type { Answer } from '../chain/chain.ts';
import { withoutToken } from '../logging/error-fields.ts';
import type { Entry } from '../revocation/types.ts';
import type { ReviewOutcome, ReviewReport } from '../server/review-report.ts';

/** What every line begins with. */
export interface LineOrigin {
  /** When the review came, or when this process learned of an act: ISO 8601, UTC. */
  readonly time: string;
  /** Identifies the process that wrote it. */
  readonly boot: string;
  /** Counts the lines of the process from 1, including those that were dropped. */
  readonly sequence: number;
  /** How many lines right before this one were dropped. */
  readonly dropped?: number | undefined;
  /** How many reviews with this outcome got no line since the last one. */
  readonly unwritten?: number | undefined;
  /** Left out when no token could be read. */
  readonly fingerprint?: string | undefined;
  /** The id that the log lines about the review have too. An act of an administrator has none. */
  readonly review?: string;
}

const shortDigest = 12;

/** What was decided of one review, by values that are ours, or that Kubernetes sees. */
export function decisionOf({ outcome, end, answers, token }: ReviewReport) {
  const safe = (text: string | undefined) => text && withoutToken(text, token);
  const decided = end instanceof Error || end.kind === 'no-opinion' || end.kind === 'error' ? undefined : end;
  const by = decided && answers.at(-1);
  const user = decided?.kind === 'authenticated' ? decided.user : undefined;
  const refused = decided?.kind === 'rejected' ? decided : undefined;
  return {
    reason: safe(end instanceof Error ? reasonOf(end, outcome) : end.kind === 'error' ? end.message : refused?.reason),
    /** The one that decided. Left out when none did. */
    authenticator: by?.authenticator,
    /** Where the deciding answer was cached. Left out when the backend gave it now. */
    cached: by && 'decision' in by ? by.source : undefined,
    /** The user who was let in, as Kubernetes sees them. */
    username: safe(user?.username),
    uid: safe(user?.uid),
    /** The number of groups. */
    groups: user && (user.groups?.length ?? 0),
    /** The user who was refused, as the backend knows them. */
    subject: safe(refused?.subject),
  };
}

/** Describes one review. It has nothing of the token, and no words of a backend. */
export function auditEntry(report: ReviewReport) {
  const { client, outcome, answers, seconds, callerGone } = report;
  // The object has every key that there may be, in the order of a line: JSON.stringify takes five times as long for
  // objects of many shapes.
  return {
    /** The subject of the caller's certificate. Left out when no certificate is required. */
    caller: client,
    outcome,
    ...decisionOf(report),
    seconds: toMicroseconds(seconds),
    callerGone: callerGone || undefined,
    /** In the order in which they were asked. */
    asked: answers.map(asked),
  };
}

/**
 * Describes a block, an unblock, an unlock or a revocation that this replica has learned of.
 *
 * @param startedAt when this process started, in milliseconds since 1970
 */
export function administrativeAct({ action, kind, name, by, reason, at, until }: Entry, startedAt: number) {
  // Of a token the first digits of its SHA-256, as `blocks` and `token list` show it.
  const shown = kind === 'token' ? name.slice(0, shortDigest) : name;
  return {
    ...{ event: action, kind, name: kind === 'all' ? undefined : shown, by, reason },
    /** When it was done, by the clock of Redis. */
    at: new Date(at).toISOString(),
    until: action === 'block' ? new Date(until).toISOString() : undefined,
    /** It was done before this process started, so an earlier process may have written a line about it too. */
    beforeStart: at < startedAt || undefined,
  };
}

function reasonOf(end: Error, outcome: ReviewOutcome): string {
  return outcome === 'error' ? 'a bug: see the log' : end.message;
}

function asked(answer: Answer) {
  const { authenticator } = answer;
  const seconds = toMicroseconds(answer.seconds);
  const nothing = { reason: undefined, cached: undefined };
  if ('error' in answer) return { authenticator, answer: 'error', ...nothing, error: codeOf(answer.error), seconds };
  const { decision, recognized, failure, source } = answer;
  return {
    authenticator,
    // `not-recognized`: the token has not the shape of its tokens, so its backend was not asked.
    answer: recognized ? decision.kind : 'not-recognized',
    reason: decision.kind === 'rejected' ? decision.reason : undefined,
    cached: source,
    /** Why it could not check, where a cached answer was used instead. */
    error: failure && codeOf(failure),
    seconds,
  };
}

/** `unexpected` is a bug of its plugin. */
function codeOf(error: Error): string {
  return AuthenticatorError.is(error) ? error.code : 'unexpected';
}

export function toMicroseconds(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}

/** Nothing to escape: this test takes a tenth of the time. */
const plain = /^[\x20-\x7e]*$/;

/** What JSON leaves as it is, but terminals and editors do not: control characters, direction marks, line ends. */
const misleading = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Makes one line, with its end. The parts that identify it come first, so that a torn line still has them. A name can
 * neither end the line nor change the direction of its text on a screen.
 *
 * @param entry what it says: an entry of a review, or an act of an administrator
 */
export function auditLine(origin: LineOrigin, entry: object): string {
  const { time, boot, sequence, dropped, unwritten, fingerprint, review } = origin;
  // Values that are made here need no escapes: a template takes half the time of JSON.stringify.
  let begin = `{"time":"${time}","boot":"${boot}","sequence":${sequence}`;
  if (dropped !== undefined) begin += `,"dropped":${dropped}`;
  if (unwritten !== undefined) begin += `,"unwritten":${unwritten}`;
  if (fingerprint !== undefined) begin += `,"fingerprint":"${fingerprint}"`;
  if (review !== undefined) begin += `,"review":"${review}"`;
  const json = JSON.stringify(entry).slice(1);
  return `${begin},${plain.test(json) ? json : json.replace(misleading, escaped)}\n`;
}

/** JSON escapes each half of a surrogate pair by itself. */
function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, at) => {
    return `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
  }).join('');
}

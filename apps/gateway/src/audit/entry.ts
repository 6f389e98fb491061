import { AuthenticatorError, type Decision } from '@sallyport/authenticator';
import type { Answer, Source } from '../chain/chain.ts';
import { withoutToken } from '../logging/error-fields.ts';
import type { Entry } from '../revocation/list.ts';
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

/** What a line says of one review. It has nothing of the token, and no words of a backend. */
export interface AuditEntry {
  /** The subject of the caller's certificate. Left out when no certificate is required. */
  readonly caller: string | undefined;
  readonly outcome: ReviewOutcome;
  readonly reason: string | undefined;
  /** The authenticator that decided. Left out when none did. */
  readonly authenticator: string | undefined;
  /** The user who was let in, as Kubernetes sees them. */
  readonly username: string | undefined;
  readonly uid: string | undefined;
  /** The number of groups. */
  readonly groups: number | undefined;
  /** The user who was refused, as the backend knows them. */
  readonly subject: string | undefined;
  /** Where the deciding answer was cached. Left out when the backend gave it now. */
  readonly cached: Source | undefined;
  readonly seconds: number;
  readonly callerGone: true | undefined;
  /** In the order in which they were asked. */
  readonly asked: readonly AskedAuthenticator[];
}

interface AskedAuthenticator {
  readonly authenticator: string;
  /** `not-recognized`: the token has not the shape of its tokens, so its backend was not asked. */
  readonly answer: Decision['kind'] | 'not-recognized' | 'error';
  readonly reason: string | undefined;
  readonly cached: Source | undefined;
  /** Why it could not check, also where a cached answer was used instead. `unexpected` is a bug of its plugin. */
  readonly error: string | undefined;
  readonly seconds: number;
}

/** What a line says of a block, an unblock, an unlock or a revocation that this replica has learned of. */
interface AdministrativeAct {
  readonly event: Entry['action'];
  readonly kind: Entry['kind'];
  /** As Kubernetes sees it. Of a token it is the first digits of its SHA-256, as `blocks` and `token list` show it. */
  readonly name: string | undefined;
  readonly by: string;
  readonly reason: string | undefined;
  /** When it was done, by the clock of Redis. */
  readonly at: string;
  /** When a block ends. */
  readonly until: string | undefined;
  /** It was done before this process started, so an earlier process may have written a line about it too. */
  readonly beforeStart: true | undefined;
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
    authenticator: by?.authenticator,
    cached: by && 'decision' in by ? by.source : undefined,
    username: safe(user?.username),
    uid: safe(user?.uid),
    groups: user && (user.groups?.length ?? 0),
    subject: safe(refused?.subject),
  };
}

/** Describes one review. */
export function auditEntry(report: ReviewReport): AuditEntry {
  const { client, outcome, answers, seconds, callerGone } = report;
  const { reason, authenticator, cached, username, uid, groups, subject } = decisionOf(report);
  // The object has every key that there may be, in the order of a line: JSON.stringify takes five times as long for
  // objects of many shapes.
  return {
    caller: client,
    outcome,
    reason,
    authenticator,
    cached,
    username,
    uid,
    groups,
    subject,
    seconds: toMicroseconds(seconds),
    callerGone: callerGone || undefined,
    asked: answers.map(asked),
  };
}

/** @param startedAt when this process started, in milliseconds since 1970 */
export function administrativeAct(entry: Entry, startedAt: number): AdministrativeAct {
  const { action, kind, name, by, reason, at, until } = entry;
  const names: Readonly<Record<Entry['kind'], string | undefined>> = {
    ...{ user: name, group: name, jti: name, sid: name },
    ...{ token: name.slice(0, shortDigest), all: undefined },
  };
  return {
    ...{ event: action, kind, name: names[kind], by, reason, at: new Date(at).toISOString() },
    until: action === 'block' ? new Date(until).toISOString() : undefined,
    beforeStart: at < startedAt || undefined,
  };
}

function reasonOf(end: Error, outcome: ReviewOutcome): string {
  return outcome === 'error' ? 'a bug: see the log' : end.message;
}

function asked(answer: Answer): AskedAuthenticator {
  const { authenticator } = answer;
  const seconds = toMicroseconds(answer.seconds);
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

function codeOf(error: Error): string {
  return AuthenticatorError.is(error) ? error.code : 'unexpected';
}

function toMicroseconds(seconds: number): number {
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

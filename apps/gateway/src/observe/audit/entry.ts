import { randomBytes } from 'node:crypto';
import { AuthenticatorError } from '@sallyport/authenticator';
import { withoutToken } from '../../base/logging/error-fields.ts';
import type { Answer } from '../../engine/chain/chain.ts';
import { type Entry, shortDigest } from '../../engine/revocation/list.ts';
import { createHmacSha256 } from '../../engine/sealing/hmac.ts';
import { createSealingKey } from '../../engine/sealing/seal.ts';
import {
  describeAudiences,
  type ReviewOutcome,
  type ReviewReport,
} from '../../review/review-report.ts';

/** The fields with which every line begins. docs/audit-trail.md describes all fields. */
export interface LineOrigin {
  /** The time in ISO 8601, UTC. */
  readonly time: string;
  readonly boot: string;
  readonly sequence: number;
  readonly dropped?: number | undefined;
  readonly unwritten?: number | undefined;
  readonly fingerprint?: string | undefined;
  readonly review?: string;
}

/** Describes the decision of one review, by values that are ours, or that Kubernetes sees. */
export function describeDecision({ outcome, end, answers, token }: ReviewReport) {
  const safe = (text: string | undefined) => text && withoutToken(text, token);
  const decided =
    end instanceof Error || end.kind === 'no-opinion' || end.kind === 'error' ? undefined : end;
  const decider = decided && answers.at(-1);
  const user = decided?.kind === 'authenticated' ? decided.user : undefined;
  const refused = decided?.kind === 'rejected' ? decided : undefined;
  return {
    reason: safe(describeReason(end, outcome)),
    authenticator: decider?.authenticator,
    directory: decider?.directory?.name,
    // The account has the name that Kubernetes would see if its user logged in there.
    account: safe(decider?.directory?.account),
    cached: decider && 'decision' in decider ? decider.source : undefined,
    // The names are those that Kubernetes sees, but the subject of a refusal is named as by the backend.
    username: safe(user?.username),
    uid: safe(user?.uid),
    groups: user && (user.groups?.length ?? 0),
    subject: safe(refused?.subject),
  };
}

/** Describes one review. The entry contains nothing of the token, and no words of a backend. */
export function auditEntry(report: ReviewReport) {
  const { client, outcome, answers, seconds, callerGone } = report;
  const audiences = describeAudiences(report);
  // The object has every key that there may be, in the order of a line: JSON.stringify takes five times as long for
  // objects of many shapes.
  return {
    caller: client,
    outcome,
    ...describeDecision(report),
    askedFor: audiences?.askedFor,
    validFor: audiences?.validFor,
    seconds: toMicroseconds(seconds),
    callerGone: callerGone || undefined,
    asked: answers.map(asked),
  };
}

/**
 * Describes an admin action that this replica has learned of, such as a block.
 *
 * @param startedAt when this process started, in milliseconds since 1970
 */
export function adminActionEntry(
  { action, kind, name, by, reason, at, until }: Entry,
  startedAt: number,
) {
  // A token is named by the first digits of its SHA-256, as `blocks` and `token list` show it.
  const shown = kind === 'token' ? shortDigest(name) : name;
  return {
    event: action,
    kind,
    name: kind === 'all' ? undefined : shown,
    by,
    reason,
    at: new Date(at).toISOString(),
    until: action === 'block' ? new Date(until).toISOString() : undefined,
    // An earlier process may have written a line about it, too.
    beforeStart: at < startedAt || undefined,
  };
}

function describeReason(end: ReviewReport['end'], outcome: ReviewOutcome): string | undefined {
  if (end instanceof Error) return outcome === 'error' ? 'a bug: see the log' : end.message;
  if (end.kind === 'error') return end.message;
  return end.kind === 'rejected' ? end.reason : undefined;
}

function asked(answer: Answer) {
  const { authenticator } = answer;
  const directory = answer.directory?.name;
  const seconds = toMicroseconds(answer.seconds);
  const nothing = { reason: undefined, cached: undefined };
  if ('error' in answer)
    return {
      authenticator,
      directory,
      answer: 'error',
      ...nothing,
      error: findCode(answer.error),
      seconds,
    };
  const { decision, recognized, failure, source } = answer;
  return {
    authenticator,
    directory,
    answer: recognized ? decision.kind : 'not-recognized',
    reason: decision.kind === 'rejected' ? decision.reason : undefined,
    cached: source,
    // It could not check the token, and a cached answer was used instead.
    error: failure && findCode(failure),
    seconds,
  };
}

/** Returns the code of an error: `unexpected` for a bug of its plugin. */
function findCode(error: Error): string {
  return AuthenticatorError.is(error) ? error.code : 'unexpected';
}

/** Rounds seconds to microseconds. */
export function toMicroseconds(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}

/** The characters of a fingerprint: 22 of base64url are 132 bits, so no two tokens are expected to share one. */
const fingerprintLength = 22;

/** The key is random in each process, so that without a sealing key no one can ever find out a token. */
const ownKey = randomBytes(32);

/**
 * Makes the fingerprint of a token in the trail. It is the same for the same token and key. Without the key it does not
 * help to find out the token, however weak the token is.
 *
 * @param secret the sealing key in use, which all replicas have. By default, the key is one of this process alone
 */
export function createTokenFingerprint(secret?: Uint8Array): (token: string) => string {
  const key =
    secret === undefined ? ownKey : createSealingKey(secret).derive('audit token fingerprints');
  const mac = createHmacSha256(key);
  return (token) => mac(token).slice(0, fingerprintLength);
}

/** Matches a text with nothing to escape. This test takes a tenth of the time. */
const plain = /^[\x20-\x7e]*$/;

/**
 * Matches what JSON leaves as it is, but terminals and editors do not: control characters, direction marks, line ends.
 */
const misleading = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Makes one line, with its end. The parts that identify it come first, so that a torn line still has them. A name can
 * neither end the line nor change the direction of its text on a screen.
 *
 * @param entry describes a review or an event
 */
export function auditLine(origin: LineOrigin, entry: object): string {
  const { time, boot, sequence, dropped, unwritten, fingerprint, review } = origin;
  // Values that are made here need no escapes: a template takes half the time of JSON.stringify.
  let begin = `{"time":"${time}","boot":"${boot}","sequence":${sequence}`;
  if (dropped !== undefined) begin += `,"dropped":${dropped}`;
  if (unwritten !== undefined) begin += `,"unwritten":${unwritten}`;
  if (fingerprint !== undefined) begin += `,"fingerprint":"${fingerprint}"`;
  if (review !== undefined) begin += `,"review":"${review}"`;
  return `${begin},${auditJson(entry).slice(1)}\n`;
}

/** Writes JSON as the lines of the trail have it. */
export function auditJson(value: object | string): string {
  const json = JSON.stringify(value);
  return plain.test(json) ? json : json.replace(misleading, escaped);
}

/** Escapes a character as JSON does: each half of a surrogate pair by itself. */
function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }).join('');
}

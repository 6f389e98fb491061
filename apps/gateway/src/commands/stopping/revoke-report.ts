import type { RevokedToken, UnreadableToken } from '@sallyport/authenticator';
import { printable } from '../../logging/printable.ts';
import { humanDuration } from '../human-duration.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { seeToken, shortDigest, timeText, toJson } from '../token/issued-token.ts';
import type { Issuing } from '../token/issuing.ts';

/** Prints which tokens were revoked: in text at once, so that nothing of it is lost; in JSON at the end. */
export interface RevokeReport {
  readonly revoked: number;
  /** Of all kinds. */
  readonly found: number;
  /** Something could not be revoked. */
  readonly isIncomplete: boolean;
  add(one: RevokedToken | UnreadableToken, issuing: Issuing): void;
  /** Why not all tokens of an authenticator could be revoked. */
  fail(issuing: Issuing, problem: string): void;
  /** The number of tokens, in text. */
  readonly summary: string;
  /** @param replicas what became of the entry in the revocation list; left out: none was written */
  printJson(replicas: object | undefined): void;
}

export interface ReportSettings {
  readonly output: OutputFormat;
  /** It is about all tokens of a user. */
  readonly ofUser: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export function createRevokeReport(settings: ReportSettings): RevokeReport {
  const lists = {
    revoked: [] as object[],
    already: [] as object[],
    unreadable: [] as object[],
    problems: [] as object[],
  };
  const { revoked, already, unreadable, problems } = lists;
  return {
    get revoked() {
      return revoked.length;
    },
    get found() {
      return revoked.length + already.length + unreadable.length;
    },
    get isIncomplete() {
      return unreadable.length + problems.length > 0;
    },
    add(one, issuing) {
      if ('fault' in one) {
        unreadable.push({ authenticator: issuing.authenticator.name, digest: one.digest, fault: one.fault });
        process.stderr.write(unreadableLine(one, settings));
        return;
      }
      const seen = seeToken(one.token, issuing.judge, settings.now);
      (one.already ? already : revoked).push(toJson(seen, issuing.authenticator.name));
      if (settings.output === 'text') process.stdout.write(revokedLine(one, issuing, settings));
    },
    fail({ authenticator: { name } }, problem) {
      problems.push({ authenticator: name, problem });
      process.stderr.write(`sallyport: not all tokens of authenticator ${name} are revoked: ${problem}\n`);
    },
    get summary() {
      const parts = [
        `${revoked.length} ${revoked.length === 1 ? 'token' : 'tokens'} revoked`,
        ...(already.length === 0 ? [] : [`${already.length} revoked already`]),
        ...(unreadable.length === 0 ? [] : [`${unreadable.length} unreadable`]),
      ];
      return `${parts.join(', ')}.\n`;
    },
    printJson: (replicas) => printJson({ ...lists, replicas }),
  };
}

function revokedLine({ token, already }: RevokedToken, { judge }: Issuing, { now }: ReportSettings): string {
  const { digest, issuedAt, issuedBy, revoked } = token;
  const by = (name: string | undefined) => (name === undefined ? '' : ` by ${name}`);
  const name = `${shortDigest(digest)}  ${judge(token.user).user.username}`;
  if (already) return `${printable(`${name}  was revoked already at ${timeText(revoked.at)}${by(revoked.by)}`)}\n`;
  const issued =
    issuedAt === undefined ? '' : `  (issued ${humanDuration(now - issuedAt.getTime())} ago${by(issuedBy)})`;
  return `${printable(`revoked ${name}${issued}`)}\n`;
}

/** What can't be read may name any user, and it authenticates nobody while it is so. */
function unreadableLine({ digest, fault }: UnreadableToken, { ofUser }: ReportSettings): string {
  const so = ofUser ? 'so it may be theirs' : 'so it authenticates nobody as it is';
  return `sallyport: ${shortDigest(digest)} was not revoked: its record is unreadable, ${so}: ${printable(fault)}\n`;
}

import type { RevokedToken, UnreadableToken } from '@sallyport/authenticator';
import { printable } from '../logging/printable.ts';
import { type Issuing, seeToken, toJson } from './issuer.ts';
import { type OutputFormat, printJson, printRemark, shortDigest } from './output.ts';
import { humanDuration, timeText } from './times.ts';

/** Prints which tokens were revoked: as text at once, so that none is lost; as JSON at the end. */
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
  /** The command is about all tokens of a user. */
  readonly ofUser: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export function createRevokeReport(settings: ReportSettings): RevokeReport {
  const [revoked, already, unreadable, problems]: [object[], object[], object[], object[]] = [[], [], [], []];
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
        printRemark(unreadableRemark(one, settings));
        return;
      }
      const seen = seeToken(one.token, issuing.judge, settings.now);
      (one.already ? already : revoked).push(toJson(seen, issuing.authenticator.name));
      if (settings.output === 'text') process.stdout.write(revokedLine(one, issuing, settings));
    },
    fail({ authenticator: { name } }, problem) {
      problems.push({ authenticator: name, problem });
      printRemark(`not all tokens of authenticator ${name} are revoked: ${problem}`);
    },
    get summary() {
      const parts = [
        `${revoked.length} ${revoked.length === 1 ? 'token' : 'tokens'} revoked`,
        ...(already.length === 0 ? [] : [`${already.length} revoked already`]),
        ...(unreadable.length === 0 ? [] : [`${unreadable.length} unreadable`]),
      ];
      return `${parts.join(', ')}.\n`;
    },
    printJson: (replicas) => printJson({ revoked, already, unreadable, problems, replicas }),
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

/** A record that can't be read may name any user. It authenticates no one as it is. */
function unreadableRemark({ digest, fault }: UnreadableToken, { ofUser }: ReportSettings): string {
  const so = ofUser ? 'so it may be theirs' : 'so it authenticates no one as it is';
  return `${shortDigest(digest)} was not revoked: its record is unreadable, ${so}: ${printable(fault)}`;
}

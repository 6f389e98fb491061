import type { RevokedToken, UnreadableToken } from '@sallyport/authenticator';
import { printable } from '../../logging/printable.ts';
import { humanDuration } from '../human-duration.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { tellRemarks } from '../stopping/confirmation-report.ts';
import type { Forgotten } from '../stopping/forget-revoked.ts';
import { seeToken, shortDigest, timeText, toJson } from './issued-token.ts';
import type { Issuing } from './issuing.ts';

/** Tells what was revoked: in text at once, so that nothing of it is lost; in JSON at the end. */
export interface RevocationReport {
  /** Of all kinds. */
  readonly found: number;
  readonly unreadable: number;
  add(one: RevokedToken | UnreadableToken): void;
  /**
   * To be called whether or not it came to its end.
   *
   * @param forgotten what gateways had cached of them; left out when nothing was revoked
   */
  end(forgotten: Forgotten | undefined): void;
}

export interface ReportSettings {
  readonly output: OutputFormat;
  /** It is about all tokens of a user. */
  readonly ofUser: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export function createReport(issuing: Issuing, settings: ReportSettings): RevocationReport {
  const revoked: RevokedToken[] = [];
  const already: RevokedToken[] = [];
  const unreadable: UnreadableToken[] = [];
  const isText = settings.output === 'text';
  return {
    get found() {
      return revoked.length + already.length + unreadable.length;
    },
    get unreadable() {
      return unreadable.length;
    },
    add(one) {
      if ('fault' in one) {
        unreadable.push({ digest: one.digest, fault: one.fault });
        process.stderr.write(unreadableLine(one, settings));
      } else {
        (one.already ? already : revoked).push(one);
        if (isText) process.stdout.write(revokedLine(one, issuing, settings));
      }
    },
    end(forgotten) {
      if (isText) {
        process.stdout.write(summary(revoked.length, already.length, unreadable.length) + (forgotten?.text ?? ''));
      } else {
        const json = ({ token }: RevokedToken) => {
          return toJson(seeToken(token, issuing.judge, settings.now), issuing.authenticator.name);
        };
        printJson({ revoked: revoked.map(json), already: already.map(json), unreadable, gateways: forgotten?.json });
      }
      tellRemarks(forgotten?.remarks ?? []);
    },
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

function summary(revoked: number, already: number, unreadable: number): string {
  if (revoked + already + unreadable === 0) return '';
  const parts = [
    `${revoked} ${revoked === 1 ? 'token' : 'tokens'} revoked`,
    ...(already === 0 ? [] : [`${already} revoked already`]),
    ...(unreadable === 0 ? [] : [`${unreadable} unreadable`]),
  ];
  return `${parts.join(', ')}.\n`;
}

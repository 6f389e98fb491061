import type { AdministrativeAct } from './administrative-act.ts';
import type { AuditEntry } from './entry.ts';

/** What every line begins with. */
export interface LineNumber {
  /** When its review came, or when this process learned of an act: ISO 8601, UTC. */
  readonly time: string;
  /** Of the process that wrote it. */
  readonly boot: string;
  /** Counts the lines of the process from 1, those that were dropped too. */
  readonly sequence: number;
  /** How many right before this one were dropped. */
  readonly dropped: number | undefined;
}

/** What a line has beside the account of its review. */
export interface LineOrigin extends LineNumber {
  /** How many reviews like this one got no line since the last. */
  readonly unwritten: number | undefined;
  /** Left out: no token could be read. */
  readonly fingerprint: string | undefined;
  /** The id that the log's lines about the review have too. */
  readonly review: string;
}

/** Has nothing unfit: told in a tenth of the time. */
const plain = /^[\x20-\x7e]*$/;

/** What JSON itself leaves as it is, and a terminal or an editor does not: controls, marks of direction, line ends. */
const unfit = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * One line, with its end. What tells whose it is stands first, so that a torn line still says it; names can neither end
 * the line nor turn it around on a screen.
 */
export function auditLine(origin: LineOrigin, entry: AuditEntry): string {
  const { unwritten, fingerprint, review } = origin;
  const more = `${member('unwritten', unwritten)}${member('fingerprint', fingerprint)}`;
  return `{${numbered(origin)}${more},"review":"${review}",${members(entry)}\n`;
}

/** One line about what an administrator did, with its end. */
export function actLine(number: LineNumber, act: AdministrativeAct): string {
  return `{${numbered(number)},${members(act)}\n`;
}

function numbered({ time, boot, sequence, dropped }: LineNumber): string {
  return `"time":"${time}","boot":"${boot}","sequence":${sequence}${member('dropped', dropped)}`;
}

/** With the brace that closes them. */
function members(value: object): string {
  const json = JSON.stringify(value);
  return (plain.test(json) ? json : json.replace(unfit, escaped)).slice(1);
}

/** Of what is made here, and so needs no escapes. */
function member(name: string, value: string | number | undefined): string {
  if (value === undefined) return '';
  return `,"${name}":${typeof value === 'string' ? `"${value}"` : value}`;
}

/** As JSON escapes: each half of a surrogate pair by itself. */
function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, at) => {
    return `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
  }).join('');
}

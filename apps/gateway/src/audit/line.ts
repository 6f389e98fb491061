import type { AuditEntry } from './entry.ts';

/** What a line has beside the account of its review. */
export interface LineFields extends AuditEntry {
  /** Of the process that wrote it. */
  readonly boot: string;
  /** Counts the lines of the process from 1, those that were dropped too. */
  readonly sequence: number;
  /** How many right before this one were dropped. */
  readonly dropped?: number;
  /** How many reviews like this one got no line since the last. */
  readonly unwritten?: number;
  /** Left out: no token could be read. */
  readonly fingerprint?: string;
}

/** What JSON itself leaves as it is, and a terminal or an editor does not: controls, marks of direction, line ends. */
const unfit = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * One line, with its end. What tells whose it is stands first, so that a torn line still says it; names can neither end
 * the line nor turn it around on a screen.
 */
export function auditLine({ time, boot, sequence, dropped, unwritten, fingerprint, ...entry }: LineFields): string {
  const ordered = { time, boot, sequence, dropped, unwritten, fingerprint, ...entry };
  return `${JSON.stringify(ordered).replace(unfit, escaped)}\n`;
}

/** As JSON escapes: each half of a surrogate pair by itself. */
function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, at) => {
    return `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
  }).join('');
}

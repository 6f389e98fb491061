import { isIP } from 'node:net';

/** What a parser returns: the value, or what is wrong and what to write instead. */
export type Parsed<Value> = { readonly value: Value } | { readonly problem: string; readonly fix: string };

/**
 * Takes one line of text that is not empty.
 *
 * @returns a problem that quotes nothing of the input: it may be a secret in a wrong place
 */
export function parseText(input: unknown, example: string): Parsed<string> {
  const fix = `write ${example}`;
  if (input === null) return { problem: 'is empty', fix };
  if (typeof input !== 'string') return { problem: 'must be text', fix };
  if (input === '') return { problem: 'must not be empty', fix };
  if (!input.isWellFormed() || /\p{Cc}/u.test(input)) return { problem: 'must be one line of text', fix };
  return { value: input };
}

/** Whether a text is the name of a host in ASCII (RFC 1123 section 2.1). */
export function isHostName(text: string): boolean {
  const labels = text.split('.');
  const wellFormed = labels.every((label) => /^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?$/.test(label));
  // A last label of digits is a mistyped IPv4 address, and resolvers read 127.1 as one.
  return wellFormed && text.length <= 253 && isIP(text) === 0 && !/^\d+$/.test(labels.at(-1) ?? '');
}

/** Shortens free text of a server or of the system for a message of one line, and drops what is not printable. */
export function oneLine(text: string): string {
  const printable = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return printable.length > 200 ? `${printable.slice(0, 200)}...` : printable;
}

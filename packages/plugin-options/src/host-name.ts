import { isIP } from 'node:net';

/** A host's name in ASCII (RFC 1123 section 2.1). */
export function isHostName(text: string): boolean {
  const labels = text.split('.');
  const wellFormed = labels.every((label) => /^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?$/.test(label));
  // A last label of digits is a mistyped IPv4 address, and resolvers read 127.1 as one.
  return wellFormed && text.length <= 253 && isIP(text) === 0 && !/^\d+$/.test(labels.at(-1) ?? '');
}

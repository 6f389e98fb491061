import { list, type Parsed } from '@sallyport/plugin-options';
import type { z } from 'zod';

/** A key of AES-256 has as many. */
const leastBytes = 32;
const most = 8;

const write = '{ env: SALLYPORT_CACHE_KEY } or { file: secrets/cache-key }';
/** What to do for a new key, wherever one is missing or unfit. */
export const keyFix: string = `write ${write}, and make a key with: openssl rand -base64 32`;

/** `sealingKeys`, secrets in place. No problem quotes anything of a key. */
export const sealingKeys: z.ZodType<readonly Uint8Array[]> = list(
  {
    description:
      `Keys that seal what is kept in Redis, each ${write} of at least 32 random bytes as base64 (openssl rand -base64 32). ` +
      'The first seals, all open: to change it, add the new one as the second on every replica, then move it first, then drop the old one.',
    example: `[${write}], and make a key with: openssl rand -base64 32`,
  },
  { least: 1, most },
  parseKey,
).superRefine((keys, context) => {
  const texts = keys.map((key) => Buffer.from(key).toString('base64'));
  for (const [index, text] of texts.entries()) {
    const first = texts.indexOf(text);
    if (first === index) continue;
    context.addIssue({ code: 'custom', path: [index], message: `is the key of sealingKeys[${first}] too: drop one` });
  }
});

function parseKey(input: unknown): Parsed<Uint8Array> {
  if (typeof input !== 'string') return { problem: 'must be a secret', fix: keyFix };
  // openssl breaks the line of a key of more than 48 bytes.
  const text = input.replaceAll(/\r?\n/g, '');
  const bytes = Buffer.from(text, 'base64');
  if (!spellings(bytes).includes(text)) return { problem: 'holds no base64', fix: keyFix };
  if (bytes.length < leastBytes) return { problem: `holds ${bytes.length} bytes: too short a key`, fix: keyFix };
  return { value: new Uint8Array(bytes) };
}

/** Node decodes anything to something: only what it would write itself is a key that came here whole. */
function spellings(bytes: Buffer): string[] {
  const [padded, url] = [bytes.toString('base64'), bytes.toString('base64url')];
  const padding = padded.slice(url.length);
  return [padded, padded.slice(0, url.length), url, url + padding];
}

import { duration, list, type ParseResult, section, value } from '@sallyport/plugin-kit';
import type { ConnectionOptions } from '@sallyport/redis-connection';
import {
  type ClearTextTerms,
  connectionShape,
  settleConnection,
} from '@sallyport/redis-connection/options';
import { booleanKey } from '../keys.ts';

/** Milliseconds after which a command is given up, unless `timeout` is longer. No review waits longer than `timeout`. */
const commandTimeout = 1_000;

const terms: ClearTextTerms = {
  risk: 'anyone on the network path learns the password of Redis, and can hold back revocations',
  consent: 'anyone on the network path may hold back revocations',
};

/** A prefix is part of patterns (SCAN, ACL rules) and must mean itself there; braces choose the slot in a cluster. */
const prefixPattern = String.raw`^(?:(?![{}*?[\\])[!-~]){1,64}$`;

/** A key must have as many bytes as AES-256 needs. */
const minKeyBytes = 32;
const maxKeys = 8;

const keyReference = '{ env: SALLYPORT_CACHE_KEY } or { file: secrets/cache-key }';
/** How to make a sealing key, as the fix of a problem. */
export const makeKey = 'make a key with: openssl rand -base64 32';
const keyFix = `write ${keyReference}, and ${makeKey}`;
/** The file or variable may have another secret, which no one must overwrite. */
const otherKeyFix = `name the file or variable that has the key, or ${makeKey}`;

/** The schema of `sealingKeys` with their secrets. No problem quotes anything of a key. */
export const sealingKeys = list(
  {
    description:
      'Keys that encrypt what is stored in Redis, each `{ env: NAME }` or `{ file: path }`, made by `openssl rand -base64 32`. ' +
      'The first key encrypts, every key can decrypt.',
    example: `[{ file: secrets/cache-key }], and ${makeKey}`,
    items: { writeOnly: true },
  },
  { min: 1, max: maxKeys },
  parseKey,
)
  .superRefine((keys, context) => {
    const texts = keys.map((key) => Buffer.from(key).toString('base64'));
    for (const [index, text] of texts.entries()) {
      const firstIndex = texts.indexOf(text);
      if (firstIndex === index) continue;
      context.addIssue({
        code: 'custom',
        path: [index],
        params: { problem: `is the same key as sealingKeys[${firstIndex}]`, fix: 'remove one' },
      });
    }
  })
  .meta({ writeOnly: true });

function parseKey(input: unknown): ParseResult<Uint8Array> {
  if (typeof input !== 'string') return { problem: 'must be a secret', fix: keyFix };
  // openssl breaks the line of a key of more than 48 bytes.
  const text = input.replaceAll(/\r?\n/g, '');
  const bytes = Buffer.from(text, 'base64');
  if (!spellings(bytes).includes(text)) return { problem: 'is not base64', fix: otherKeyFix };
  if (bytes.length < minKeyBytes)
    return { problem: `is ${bytes.length} bytes long, which is too short`, fix: otherKeyFix };
  return { value: new Uint8Array(bytes) };
}

/** Returns how bytes are written as base64. Node decodes any text to some bytes, so only one of these is a whole key. */
function spellings(bytes: Buffer): string[] {
  const [padded, url] = [bytes.toString('base64'), bytes.toString('base64url')];
  const padding = padded.slice(url.length);
  return [padded, padded.slice(0, url.length), url, url + padding];
}

export const keyPrefix = value(
  {
    description: 'Prefix of every key in Redis.',
    pattern: prefixPattern,
  },
  (input) => {
    if (typeof input === 'string' && new RegExp(prefixPattern).test(input)) return { value: input };
    const problem = 'must be visible ASCII without { } * ? [ and \\, 1 to 64 characters';
    return { problem, fix: 'write sallyport:' };
  },
).prefault('sallyport:');

/** The schema of `cache.redis` with its secrets. */
export const cacheRedis = section(
  {
    ...connectionShape(terms),
    sealingKeys,
    timeout: duration(
      'How long one review waits for Redis in total. Then it continues without Redis. Must be less than `server.reviewTimeout`.',
      { min: '10ms', max: '5s' },
    ).prefault('100ms'),
    keyPrefix,
    startWithoutBlocks: booleanKey(
      'Whether a gateway that starts while Redis is down or empty lets users in without knowing who is blocked. With `false`, it lets no one in, and `/readyz` fails, until it has read the revocation list.',
    ).default(false),
  },
  '{ url: rediss://redis.example.com:6379, sealingKeys: [{ env: SALLYPORT_CACHE_KEY }] }',
  ({ timeout, keyPrefix, sealingKeys, startWithoutBlocks, ...keys }, complain) => {
    const limit = Math.max(commandTimeout, timeout);
    const connection = settleConnection(keys, { commandTimeout: limit, terms }, complain);
    // Without a connection there was a complaint, and no one gets this config. The rule about `timeout` sees it.
    return {
      connection: connection as ConnectionOptions,
      timeout,
      keyPrefix,
      sealingKeys,
      startWithoutBlocks,
    };
  },
).meta({
  description: 'The Redis that all replicas share. By default, each replica caches for itself.',
  writeOnly: true,
});

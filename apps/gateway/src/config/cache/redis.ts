import { resolve } from 'node:path';
import { duration, list, type Parsed, section, value } from '@sallyport/plugin-kit';
import type { ConnectionOptions } from '@sallyport/redis-connection';
import {
  type ClearTextTerms,
  connectionShape,
  settleConnection,
} from '@sallyport/redis-connection/options';
import { z } from 'zod';
import { formatPath, isObject, overlaps, type Path, type Problem, valueAt } from '../problems.ts';
import { type Filled, fillSecrets, type SecretSources, withoutSecrets } from '../secrets.ts';
import { secretTexts } from '../unknown-keys.ts';

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
const makeKey = 'make a key with: openssl rand -base64 32';
const keyFix = `write ${keyReference}, and ${makeKey}`;

/** The schema of `sealingKeys` with their secrets. No problem quotes anything of a key. */
export const sealingKeys = list(
  {
    description:
      `Keys that encrypt what is stored in Redis, each \`{ env: NAME }\` or \`{ file: path }\`, with at least ${minKeyBytes} random bytes in base64 or base64url (\`openssl rand -base64 32\`). ` +
      'The first key encrypts, every key can decrypt.',
    example: `[${keyReference}], and make a key with: openssl rand -base64 32`,
    items: { writeOnly: true },
  },
  { min: 1, max: maxKeys },
  parseKey,
)
  .superRefine((keys, context) => {
    const texts = keys.map((key) => Buffer.from(key).toString('base64'));
    for (const [index, text] of texts.entries()) {
      const first = texts.indexOf(text);
      if (first === index) continue;
      context.addIssue({
        code: 'custom',
        path: [index],
        params: { problem: `is the same key as sealingKeys[${first}]`, fix: 'remove one' },
      });
    }
  })
  .meta({ writeOnly: true });

function parseKey(input: unknown): Parsed<Uint8Array> {
  if (typeof input !== 'string') return { problem: 'must be a secret', fix: keyFix };
  // openssl breaks the line of a key of more than 48 bytes.
  const text = input.replaceAll(/\r?\n/g, '');
  const bytes = Buffer.from(text, 'base64');
  if (!spellings(bytes).includes(text)) return { problem: 'is not base64', fix: makeKey };
  if (bytes.length < minKeyBytes)
    return { problem: `is ${bytes.length} bytes long, which is too short`, fix: makeKey };
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
    description:
      'Prefix of every key in Redis: 1 to 64 visible ASCII characters, but none of `{ } * ? [ \\`.',
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
    startWithoutBlocks: z
      .boolean()
      .default(false)
      .describe(
        'Whether a gateway that starts while Redis is down or empty lets users in although it does not know who is blocked. With `false`, it lets no one in, and `/readyz` fails, until it has read the revocation list.',
      ),
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
).describe('The Redis that all replicas share. By default, each replica caches for itself.');

const place: Path = ['cache', 'redis'];

type Written = Readonly<Record<string, unknown>>;

/** Fills in the secrets of `cache.redis` of a file. Those that are missing or written out are problems. */
export async function fillCache(value: Written, sources: SecretSources): Promise<Filled<Written>> {
  const { cache } = value;
  if (!isObject(cache) || !isObject(cache.redis))
    return { value, problems: [], warnings: [], files: [], secrets: [] };
  const filled = await fillSecrets(cache.redis, place, sources);
  // Once it is filled in, a secret can't be distinguished from one that is written in the file, which more people may read.
  const schema = z.toJSONSchema(cacheRedis, { io: 'input', target: 'draft-2020-12' });
  const written = secretTexts(schema, cache.redis, place);
  return {
    ...filled,
    value: { ...value, cache: { ...cache, redis: filled.value } },
    problems: [...filled.problems.map(withKeyFix), ...written.map(writtenOut)],
    secrets: [...filled.secrets, ...written.map((path) => String(valueAt(value, path)))],
  };
}

/** Adds how to make a key, since an operator whose key is missing most likely has none yet. */
function withKeyFix(problem: Problem): Problem {
  return problem.path[place.length] === 'sealingKeys'
    ? { ...problem, fix: `${problem.fix}; ${makeKey}` }
    : problem;
}

const fixes: Readonly<Record<string, string>> = {
  url: 'write { file: secrets/redis-url } or { env: REDIS_URL }, or take the password out of it',
  sealingKeys: keyFix,
};

function writtenOut(path: Path): Problem {
  const fix =
    fixes[String(path[place.length])] ?? 'write { file: secrets/redis } or { env: REDIS_PASSWORD }';
  return { path, message: 'is a secret, which must not be in this file', fix };
}

/** Completes the fix of an unusable key. The file may have another secret, which no one must overwrite. */
function withPlace(problem: Problem, written: Written, baseDirectory: string): Problem {
  const reference = valueAt(written, problem.path);
  const { file, env }: Written = isObject(reference) ? reference : {};
  const name = file ?? env;
  if (problem.fix !== makeKey || typeof name !== 'string') return problem;
  const found = resolve(baseDirectory, name);
  const isSame = (key: string, value: unknown) => {
    if (file === undefined) return key === 'env' && value === env;
    return (
      /^file$|File$/.test(key) &&
      typeof value === 'string' &&
      resolve(baseDirectory, value) === found
    );
  };
  const other = pathsWithin(written, [], isSame).find((path) => !overlaps(path, problem.path));
  const also = other === undefined ? '' : `, and ${formatPath(other)} also names ${name}`;
  const variable = other === undefined ? name : 'another variable';
  const fix =
    file === undefined
      ? `${makeKey}, and set ${variable} to it where the gateway is started`
      : `name the file that has the key, or ${makeKey}, and write it into a new file`;
  return { ...problem, message: problem.message + also, fix };
}

/** Finds the paths of keys that fit. `{ file }` and `{ env }` are the value of the key at which they are written. */
function pathsWithin(
  value: unknown,
  path: Path,
  fits: (key: string, value: unknown) => boolean,
): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => {
    const at = [...path, Array.isArray(value) ? Number(key) : key];
    if (fits(key, child)) return [key === 'file' || key === 'env' ? path : at];
    return pathsWithin(child, at, fits);
  });
}

/** Adds the problems of secrets, and keeps the secrets out of the others. @param written the file, with references in place of secrets */
export function withSecretProblems(
  problems: readonly Problem[],
  filled: Filled,
  written: Written,
  baseDirectory: string,
): Problem[] {
  const isWithin = ({ path }: Problem) => place.every((step, index) => path[index] === step);
  const instead = 'is refused; the reason is hidden because it contains a secret';
  const reported = withoutSecrets(problems.filter(isWithin), filled, instead).map((problem) =>
    withPlace(problem, written, baseDirectory),
  );
  return [...problems.filter((problem) => !isWithin(problem)), ...reported, ...filled.problems];
}

import { type Fault, overlaps, type Path } from '../problems.ts';
import { fillSecrets, type SecretSources, withholdSecrets } from '../secrets.ts';
import { isObject } from '../unknown-keys.ts';
import { keyMend } from './sealing-keys.ts';

const place: Path = ['cache', 'redis'];
const passwords = ['password', 'sentinelPassword'];

/** A file's value with the secrets of `cache.redis` in place. */
export interface FilledCache {
  readonly value: Readonly<Record<string, unknown>>;
  /** Secrets that are missing, and those that are written out. */
  readonly faults: readonly Fault[];
  /** Absolute, read or not: a change in one is a change of the config. */
  readonly files: readonly string[];
  readonly secrets: readonly string[];
}

/** @param value the whole file, as written */
export async function fillCache(
  value: Readonly<Record<string, unknown>>,
  sources: SecretSources,
): Promise<FilledCache> {
  const { cache } = value;
  if (!isObject(cache) || !isObject(cache.redis)) return { value, faults: [], files: [], secrets: [] };
  const filled = await fillSecrets(cache.redis, place, sources);
  const literals = literalSecrets(cache.redis);
  return {
    value: { ...value, cache: { ...cache, redis: filled.options } },
    faults: [...filled.faults.map(withKeyMend), ...literals.map(({ fault }) => fault)],
    files: filled.files,
    secrets: [...filled.secrets, ...literals.map(({ secret }) => secret)],
  };
}

/** Whose key is not there most likely has none yet. */
function withKeyMend(fault: Fault): Fault {
  if (fault.path[place.length] !== 'sealingKeys') return fault;
  return { ...fault, mend: `${fault.mend === undefined ? '' : `${fault.mend}; `}${keyMend}` };
}

/** The faults of the filled file: those that follow from a missing secret left out, and none that quotes a secret. */
export function withFilledFaults(faults: readonly Fault[], filled: FilledCache): Fault[] {
  const told = faults.flatMap((fault) => {
    if (!place.every((step, index) => fault.path[index] === step)) return [fault];
    if (filled.faults.some((other) => overlaps(other.path, fault.path))) return [];
    const words = [fault.message, fault.mend ?? ''].join(': ');
    if (withholdSecrets(words, filled.secrets) === words) return [fault];
    return [{ path: fault.path, message: 'is refused; what is wrong with it quotes a secret and is withheld' }];
  });
  return [...told, ...filled.faults];
}

interface Literal {
  readonly secret: string;
  readonly fault: Fault;
}

/** Once filled in, a secret can't be told from one that stands in the file for everybody who may read that. */
function literalSecrets(redis: Readonly<Record<string, unknown>>): Literal[] {
  const keys = Array.isArray(redis.sealingKeys) ? redis.sealingKeys : [];
  return [
    ...passwords.flatMap((key) =>
      literal(redis[key], [key], `write { file: secrets/redis } or { env: REDIS_PASSWORD }`),
    ),
    ...literal(
      hasPassword(redis.url) ? redis.url : undefined,
      ['url'],
      'write { file: secrets/redis-url } or { env: REDIS_URL }, or take the password out of it',
    ),
    ...literal(redis.sealingKeys, ['sealingKeys'], keyMend),
    ...keys.flatMap((key, index) => literal(key, ['sealingKeys', index], keyMend)),
  ];
}

function literal(secret: unknown, path: Path, mend: string): Literal[] {
  if (typeof secret !== 'string' || secret === '') return [];
  const message = 'is a secret, which must not stand in this file';
  return [{ secret, fault: { path: [...place, ...path], message, mend } }];
}

function hasPassword(url: unknown): boolean {
  return typeof url === 'string' && (URL.parse(url)?.password ?? '') !== '';
}

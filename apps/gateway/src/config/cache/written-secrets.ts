import { overlaps, type Path, type Problem } from '../problems.ts';
import { fillSecrets, type SecretSources, withholdSecrets } from '../secrets.ts';
import { isObject } from '../unknown-keys.ts';
import { keyFix } from './sealing-keys.ts';

const place: Path = ['cache', 'redis'];
const passwords = ['password', 'sentinelPassword'];

/** A file's value with the secrets of `cache.redis` in place. */
export interface FilledCache {
  readonly value: Readonly<Record<string, unknown>>;
  /** Secrets that are missing, and those that are written out. */
  readonly problems: readonly Problem[];
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
  if (!isObject(cache) || !isObject(cache.redis)) return { value, problems: [], files: [], secrets: [] };
  const filled = await fillSecrets(cache.redis, place, sources);
  const literals = literalSecrets(cache.redis);
  return {
    value: { ...value, cache: { ...cache, redis: filled.options } },
    problems: [...filled.problems.map(withKeyFix), ...literals.map(({ problem }) => problem)],
    files: filled.files,
    secrets: [...filled.secrets, ...literals.map(({ secret }) => secret)],
  };
}

/** Whose key is not there most likely has none yet. */
function withKeyFix(problem: Problem): Problem {
  if (problem.path[place.length] !== 'sealingKeys') return problem;
  return { ...problem, fix: `${problem.fix === undefined ? '' : `${problem.fix}; `}${keyFix}` };
}

/** The problems of the filled file: those that follow from a missing secret left out, and none that quotes a secret. */
export function withFilledProblems(problems: readonly Problem[], filled: FilledCache): Problem[] {
  const told = problems.flatMap((problem) => {
    if (!place.every((step, index) => problem.path[index] === step)) return [problem];
    if (filled.problems.some((other) => overlaps(other.path, problem.path))) return [];
    const words = [problem.message, problem.fix ?? ''].join(': ');
    if (withholdSecrets(words, filled.secrets) === words) return [problem];
    return [{ path: problem.path, message: 'is refused; what is wrong with it quotes a secret and is withheld' }];
  });
  return [...told, ...filled.problems];
}

interface Literal {
  readonly secret: string;
  readonly problem: Problem;
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
    ...literal(redis.sealingKeys, ['sealingKeys'], keyFix),
    ...keys.flatMap((key, index) => literal(key, ['sealingKeys', index], keyFix)),
  ];
}

function literal(secret: unknown, path: Path, fix: string): Literal[] {
  if (typeof secret !== 'string' || secret === '') return [];
  const message = 'is a secret, which must not stand in this file';
  return [{ secret, problem: { path: [...place, ...path], message, fix } }];
}

function hasPassword(url: unknown): boolean {
  return typeof url === 'string' && (URL.parse(url)?.password ?? '') !== '';
}

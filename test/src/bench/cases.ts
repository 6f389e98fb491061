import { randomBytes } from 'node:crypto';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { reviewBody } from '../testing/token-review.ts';
import { directoryAccess } from './backends.ts';
import {
  type GatewayCase,
  type Place,
  robotCount,
  robotQuestions,
  tokenCount,
} from './contender.ts';
import { metric } from './gateway.ts';

/** Static tokens. @param entry changed keys of their authenticator */
export function staticCase(entry: object = {}, count: number = tokenCount): GatewayCase {
  const tokens = Array.from({ length: count }, (_, at) => ({
    token: randomToken(),
    username: `user-${at}`,
  }));
  return {
    config: { authenticators: [{ ...staticAuthenticator, ...entry }] },
    files: {
      'tokens.yaml': tokensFile(
        Object.fromEntries(tokens.map(({ token, username }) => [token, username])),
      ),
    },
    questions: tokens.map(({ token, username }) => ({ body: reviewBody(token), username })),
  };
}

export const memoryCase = (): GatewayCase => ({
  ...staticCase({ cache: { store: 'memory', authenticatedTtl: '24h' } }),
  verify: (adminUrl) => verifyHits(adminUrl, 'memory', tokenCount),
});

/** `memoryCase` without an audit trail, and only with probes. It shows what the audit trail and the watchers cost. */
export function quietCase(): GatewayCase {
  const { config, ...others } = memoryCase();
  return { ...others, config: { ...config, audit: undefined }, isWatched: false };
}

/** Unknown tokens, each a different one. */
export const unknownCase = (): GatewayCase => ({
  ...staticCase(),
  questions: Array.from({ length: 20_000 }, () => ({ body: reviewBody(randomToken()) })),
});

/** Answers in Redis that the memory has no capacity for: each review finds its answer in Redis, after the first pass. */
export async function redisTierCase(place: Place): Promise<GatewayCase> {
  const { config, ...rest } = staticCase(
    { cache: { store: 'shared', authenticatedTtl: '24h' } },
    robotCount,
  );
  const shared = await sharedCache(place);
  return {
    ...rest,
    config: { ...config, cache: { memory: { maxEntries: 100 }, redis: shared.redis } },
    files: { ...rest.files, ...shared.files },
    prime: robotCount,
    verify: (adminUrl) => verifyHits(adminUrl, 'redis', robotCount),
  };
}

async function sharedCache({ backends }: Place) {
  const redis = {
    url: (await backends.redis()).url,
    sealingKeys: [{ file: 'secrets/sealing-key' }],
    startWithoutBlocks: true,
  };
  return { redis, files: { 'secrets/sealing-key': randomBytes(32).toString('base64') } };
}

/** Checks that a tier of the cache answered all but `misses` reviews, and that nothing in front of it answered many. */
async function verifyHits(
  adminUrl: string,
  tier: 'memory' | 'redis',
  misses: number,
): Promise<void> {
  const lookups = (one: string, result: string) =>
    metric(adminUrl, 'sallyport_cache_lookups_total', [`tier="${one}"`, `result="${result}"`]);
  const [hits, missed] = [await lookups(tier, 'hit'), await lookups(tier, 'miss')];
  const before = tier === 'memory' ? 0 : await lookups('memory', 'hit');
  if (missed > misses * 1.05 || before > hits / 20) {
    throw new Error(`${hits} hits in ${tier}, ${missed} misses, and ${before} hits in front of it`);
  }
}

/** Tokens that are looked up in Redis. */
export async function robotsCase(
  { backends }: Place,
  count: number,
  cache: object | string,
): Promise<GatewayCase> {
  const { url } = await backends.redis();
  return {
    config: { authenticators: [{ name: 'robots', use: 'redis', cache, options: { url } }] },
    questions: robotQuestions(await backends.robots(count)),
  };
}

/** People who log in by LDAPS. */
export async function directoryCase(
  { backends }: Place,
  cache: object | string,
): Promise<GatewayCase> {
  const facts = await backends.directory();
  const { options, files } = directoryAccess(facts);
  return {
    config: { authenticators: [{ name: 'corp', use: 'ldap', cache, options }] },
    files,
    questions: facts.people.map(({ name, token }) => ({ body: reviewBody(token), username: name })),
  };
}

export async function directoryMemoryCase(place: Place): Promise<GatewayCase> {
  const { questions, ...others } = await directoryCase(place, { authenticatedTtl: '24h' });
  const verify = (adminUrl: string) => verifyHits(adminUrl, 'memory', tokenCount);
  return { ...others, questions: questions.slice(0, tokenCount), verify };
}

/** All plugins that are shipped, and the cache in Redis. The questions are for all three authenticators. */
export async function everythingCase(place: Place): Promise<GatewayCase> {
  const [robots, people, shared] = [
    await robotsCase(place, robotCount, {}),
    await directoryCase(place, {}),
    await sharedCache(place),
  ];
  const tokens = staticCase({ name: 'break-glass' });
  const cases = [robots, people, tokens];
  const authenticators = cases.flatMap(({ config }) => config.authenticators as object[]);
  return {
    config: { authenticators, cache: { redis: shared.redis } },
    files: Object.assign({}, shared.files, ...cases.map(({ files }) => files)) as Record<
      string,
      string
    >,
    questions: cases.flatMap(({ questions }) => questions),
  };
}

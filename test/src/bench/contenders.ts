import { randomBytes } from 'node:crypto';
import { staticAuthenticator, tokensFile } from '../testing/static-tokens.ts';
import { reviewBody } from '../testing/token-review.ts';
import { randomToken } from '../testing/tokens.ts';
import {
  asTarget,
  type Contender,
  type GatewayCase,
  gateway,
  type Place,
  robotCount,
  robotQuestions,
  server,
  tokenCount,
} from './contender.ts';
import type { Driven } from './drive.ts';
import { metric } from './gateway.ts';
import { startGoLogin } from './go-login.ts';
import type { LdapLoopMessage } from './ldap-loop.ts';
import type { RedisLoopMessage } from './redis-loop.ts';
import { startWorker } from './worker.ts';

/** In the order of the table. */
export const contenders: readonly Contender[] = [
  server('http2'),
  server('koa'),
  server('stack'),
  gateway('static', () => staticCase()),
  gateway('memory', () => memoryCase()),
  gateway('unknown', () => ({ ...staticCase(), questions: unknownQuestions() })),
  gateway('redis-tier', redisTierCase),
  gateway('redis', (place) => robotsCase(place, robotCount, 'off')),
  // More tokens than are asked for while an answer is cached: each is a miss, a lookup and a new entry.
  gateway('redis-cold', (place) => robotsCase(place, 30_000, { authenticatedTtl: '1s' })),
  server('stack-redis'),
  { name: 'redis-loop', isGateway: false, start: startRedisLoop },
  gateway('ldap-memory', directoryMemoryCase),
  gateway('ldap', (place) => directoryCase(place, 'off')),
  { name: 'ldap-go', isGateway: false, start: startGo },
  { name: 'ldap-loop', isGateway: false, start: startLdapLoop },
];

/** Static tokens, with what is changed of their authenticator. */
function staticCase(entry: object = {}, count: number = tokenCount): GatewayCase {
  const tokens = Array.from({ length: count }, (_, at) => ({ token: randomToken(), username: `user-${at}` }));
  return {
    config: { authenticators: [{ ...staticAuthenticator, ...entry }] },
    files: { 'tokens.yaml': tokensFile(Object.fromEntries(tokens.map(({ token, username }) => [token, username]))) },
    questions: tokens.map(({ token, username }) => ({ body: reviewBody(token), username })),
  };
}

const memoryCase = (): GatewayCase => ({
  ...staticCase({ cache: { store: 'memory', authenticatedTtl: '24h' } }),
  verify: (adminUrl) => verifyHits(adminUrl, 'memory', tokenCount),
});

const unknownQuestions = (): GatewayCase['questions'] =>
  Array.from({ length: 20_000 }, () => ({ body: reviewBody(randomToken()) }));

/** Answers in Redis that the memory has no capacity for: each review finds its answer in Redis, after the first pass. */
async function redisTierCase({ backends }: Place): Promise<GatewayCase> {
  const { url } = await backends.redis();
  const { config, ...rest } = staticCase({ cache: { store: 'shared', authenticatedTtl: '24h' } }, robotCount);
  const redis = { url, sealingKeys: [{ file: 'secrets/sealing-key' }] };
  return {
    ...rest,
    config: { ...config, cache: { memory: { maxEntries: 100 }, redis } },
    files: { ...rest.files, 'secrets/sealing-key': randomBytes(32).toString('base64') },
    prime: robotCount,
    verify: (adminUrl) => verifyHits(adminUrl, 'redis', robotCount),
  };
}

/** Throws unless a tier of the cache answered all but `misses` reviews, and nothing in front of it answered many. */
async function verifyHits(adminUrl: string, tier: 'memory' | 'redis', misses: number): Promise<void> {
  const lookups = (one: string, result: string) =>
    metric(adminUrl, 'sallyport_cache_lookups_total', [`tier="${one}"`, `result="${result}"`]);
  const [hits, missed] = [await lookups(tier, 'hit'), await lookups(tier, 'miss')];
  const before = tier === 'memory' ? 0 : await lookups('memory', 'hit');
  if (missed > misses * 1.05 || before > hits / 20) {
    throw new Error(`${hits} hits in ${tier}, ${missed} misses, and ${before} hits in front of it`);
  }
}

async function robotsCase({ backends }: Place, count: number, cache: object | string): Promise<GatewayCase> {
  const { url } = await backends.redis();
  return {
    config: { authenticators: [{ name: 'robots', use: 'redis', cache, options: { url } }] },
    questions: robotQuestions(await backends.robots(count)),
  };
}

async function startRedisLoop({ backends, resources }: Place) {
  const worker = resources.use(startWorker<RedisLoopMessage, Driven>('redis-loop.ts'));
  const [{ url }, users] = [await backends.redis(), await backends.robots(robotCount)];
  return { pid: worker.pid, drive: (order: LdapLoopMessage['order']) => worker.ask({ url, users, order }) };
}

async function directoryCase({ backends }: Place, cache: object | string): Promise<GatewayCase> {
  const { url, ca, service, userBase, groupBase, people } = await backends.directory();
  const options = {
    urls: [url],
    caFile: 'tls/ldap-ca.crt',
    bind: { dn: service.dn, password: { file: 'secrets/ldap' } },
    user: { base: userBase, filter: '(uid={username})' },
    groups: { base: groupBase, filter: '(member={dn})' },
  };
  return {
    config: { authenticators: [{ name: 'corp', use: 'ldap', cache, options }] },
    files: { 'tls/ldap-ca.crt': ca, 'secrets/ldap': service.password },
    questions: people.map(({ name, token }) => ({ body: reviewBody(token), username: name })),
  };
}

async function directoryMemoryCase(place: Place): Promise<GatewayCase> {
  const { questions, ...others } = await directoryCase(place, { authenticatedTtl: '24h' });
  const verify = (adminUrl: string) => verifyHits(adminUrl, 'memory', tokenCount);
  return { ...others, questions: questions.slice(0, tokenCount), verify };
}

async function startGo(place: Place) {
  const directory = await place.backends.directory();
  const { url, pid } = place.resources.use(await startGoLogin(place.tls, directory));
  const questions = directory.people.map(({ name, token }) => ({ body: reviewBody(token), username: name }));
  return { pid, ...(await asTarget(place, url, questions)) };
}

async function startLdapLoop({ backends, resources }: Place) {
  const directory = await backends.directory();
  const worker = resources.use(startWorker<LdapLoopMessage, Driven>('ldap-loop.ts'));
  return { pid: worker.pid, drive: (order: LdapLoopMessage['order']) => worker.ask({ directory, order }) };
}

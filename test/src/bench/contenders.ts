import { reviewBody } from '../testing/token-review.ts';
import {
  directoryCase,
  directoryMemoryCase,
  memoryCase,
  quietCase,
  redisTierCase,
  robotsCase,
  staticCase,
  unknownCase,
} from './cases.ts';
import {
  asTarget,
  type Contender,
  gateway,
  type Place,
  type Running,
  robotCount,
  server,
} from './contender.ts';
import { joinedJwtCase, joinedStaticCase } from './directory-cases.ts';
import type { Driven } from './drive.ts';
import { startGoLogin } from './go-login.ts';
import type { LdapLoopMessage } from './ldap-loop.ts';
import type { RedisLoopMessage } from './redis-loop.ts';
import { sessionCase } from './session-cases.ts';
import { startWorker } from './worker.ts';

/** All contenders, in the order of the table. */
export const contenders: readonly Contender[] = [
  server('http2'),
  server('koa'),
  server('stack'),
  gateway('static', () => staticCase()),
  gateway('memory', memoryCase),
  gateway('quiet', quietCase),
  gateway('unknown', unknownCase),
  gateway('redis-tier', redisTierCase),
  gateway('redis', (place) => robotsCase(place, robotCount, 'off')),
  // There are more tokens than are sent while an answer is cached, so each is a miss, a lookup and a new entry.
  gateway('redis-cold', (place) => robotsCase(place, 30_000, { authenticatedTtl: '1s' })),
  server('stack-redis'),
  { name: 'redis-loop', isGateway: false, start: startRedisLoop },
  gateway('ldap-memory', directoryMemoryCase),
  gateway('ldap', (place) => directoryCase(place, 'off')),
  // The same users with the groups of their tokens, or with those of the directory: cached, or looked up at each review.
  gateway('static-own', (place) => joinedStaticCase(place, 'own')),
  gateway('static-joined', (place) => joinedStaticCase(place, 'cached')),
  gateway('jwt-own', (place) => joinedJwtCase(place, 'own')),
  gateway('jwt-joined', (place) => joinedJwtCase(place, 'cached')),
  gateway('session', (place) => sessionCase(place, 'without factor')),
  gateway('session-factor', (place) => sessionCase(place, 'with factor')),
  gateway('join-cold', (place) => joinedStaticCase(place, 'asked')),
  { name: 'ldap-go', isGateway: false, start: startGo },
  { name: 'ldap-loop', isGateway: false, start: startLdapLoop },
];

async function startRedisLoop({ backends, resources }: Place): Promise<Running> {
  const worker = resources.use(startWorker<RedisLoopMessage, Driven>('redis-loop.ts'));
  const [{ url }, users] = [await backends.redis(), await backends.robots(robotCount)];
  return { pid: worker.pid, drive: (order) => worker.ask({ url, users, order }) };
}

async function startGo(place: Place): Promise<Running> {
  const directory = await place.backends.directory();
  const { url, pid } = place.resources.use(await startGoLogin(place.tls, directory));
  const questions = directory.people.map(({ name, token }) => ({
    body: reviewBody(token),
    username: name,
  }));
  return { pid, ...(await asTarget(place, url, questions)) };
}

async function startLdapLoop({ backends, resources }: Place): Promise<Running> {
  const directory = await backends.directory();
  const worker = resources.use(startWorker<LdapLoopMessage, Driven>('ldap-loop.ts'));
  return { pid: worker.pid, drive: (order) => worker.ask({ directory, order }) };
}

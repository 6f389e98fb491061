import { startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { toReplacements } from '@sallyport/test-servers/ldif';
import { type People, startPeople } from '@sallyport/test-servers/people';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { cachedAnswers } from './testing/redis-contents.ts';
import { closedCircuit, refused } from './testing/redis-gateway.ts';
import { type Replicas, replicasConfig, startReplicas } from './testing/replicas.ts';
import { scrape } from './testing/scrape.ts';
import { type ReviewStatus, reviewBody } from './testing/token-review.ts';

/** The users of the tests, by the authenticators of their tokens. Each is alone in a group of the directory. */
const users = {
  robots: ['ann', 'bea', 'cleo', 'dan', 'flo', 'gus', 'hal', 'ivy', 'jon'],
  shared: ['pam', 'pat', 'pia'],
  brief: ['kim', 'lee', 'mia', 'ned'],
  lenient: ['mia', 'ned'],
  ending: ['kim', 'lee'],
  pair: ['ann', 'bea', 'cleo'],
} as const;
type Name = keyof typeof users;

/** The tokens by `AUTHENTICATOR:USERNAME`, which is the name in Kubernetes. */
const tokens = new Map<string, string>(
  Object.entries(users).flatMap(([name, usernames]) =>
    usernames.map((username) => [`${name}:${username}`, randomToken()] as const),
  ),
);
const tokenOf = (user: string): string => tokens.get(user) ?? '';

const isUser = (user: string): ReviewStatus => ({
  authenticated: true,
  user: { username: user, groups: [`corp:k8s-${user.replace(/.*:/, '')}`] },
});
const unavailable = (user: string): ReviewStatus => ({
  authenticated: false,
  error: `authenticator ${user.replace(/:.*/, '')} unavailable`,
});

const tokenFiles = Object.fromEntries(
  Object.entries(users).map(([name, usernames]) => {
    const own = usernames.map((username) => [tokenOf(`${name}:${username}`), username]);
    return [`${name}.yaml`, tokensFile(Object.fromEntries(own))];
  }),
);

/** Makes an authenticator whose users are looked up. */
const looksUp = (name: Name, authenticator: string, directory: object = {}) => ({
  ...staticAuthenticator,
  name,
  username: { prefix: `${name}:` },
  options: { tokensFile: `${name}.yaml` },
  directory: { authenticator, refresh: '1h', ...directory },
  timeout: '20s',
});

const redis = await redisForFile();
const resources = new AsyncDisposableStack();
let people: People;
let replicas: Replicas;
/** Two servers of one directory. The first one is this proxy, as long as it is there. */
let proxy: Awaited<ReturnType<typeof startFaultProxy>>;
let hangs = false;

/** While the directory hangs, no lookup in it ends before the test says so. */
const patient = [{ timeout: '29s' }, { serverTimeout: '28s' }] as const;

const searches = async () => (await people.slapd.operations()).searches;

const directoryEntry = (name: string, entry: object = {}, options: object = {}) =>
  people.authenticator({
    options: { serverCircuit: { failures: 100 }, ...options },
    entry: { name, username: { prefix: `${name}:` }, ...closedCircuit, ...entry },
  });

beforeAll(async () => {
  people = resources.use(await startPeople());
  const names = new Set(Object.values(users).flat());
  await Promise.all([...names].map((name) => people.add(name, `k8s-${name}`)));
  proxy = await startFaultProxy({
    target: { host: '127.0.0.1', port: people.slapd.ldapsPort },
    plan: () => (hangs ? { kind: 'stall', direction: 'to-client', after: 0 } : { kind: 'pass' }),
  });
  resources.defer(() => proxy[Symbol.asyncDispose]());
  const urls = [`ldaps://localhost:${proxy.port}`, people.slapd.ldapsUrl];
  const stale = (staleTtl: string) => ({ timeout: '500ms', cache: { staleTtl } });
  const authenticators = [
    looksUp('robots', 'corp'),
    looksUp('shared', 'corp'),
    looksUp('brief', 'late', { refresh: '1s' }),
    looksUp('lenient', 'late', { refresh: '1s', missing: 'accept' }),
    looksUp('ending', 'short', { refresh: '1s', missing: 'accept' }),
    looksUp('pair', 'both'),
    directoryEntry('corp', ...patient),
    directoryEntry('late', stale('1h')),
    directoryEntry('short', stale('1s')),
    directoryEntry('both', {}, { urls, serverTimeout: '500ms' }),
  ];
  const config = {
    // On a busy machine Redis may be slower than the default, and then an answer is not shared.
    ...replicasConfig(authenticators, { url: redis.url, timeout: '2s' }),
    server: { reviewTimeout: '30s' },
  };
  replicas = resources.use(await startReplicas(2, config, { ...people.files, ...tokenFiles }));
});
afterAll(() => resources.disposeAsync());

const gatewayOf = (index: number): Gateway => {
  const gateway = replicas.gateways[index];
  if (!gateway) throw new Error('no such replica');
  return gateway;
};

function askerOf(gateway: Gateway) {
  const client = http1Client(gateway.url);
  onTestFinished(() => client[Symbol.dispose]());
  return { client, ask: (user: string) => review(client, tokenOf(user)) };
}

/** Waits for the user. Until then each answer must be an error: nothing else may come of a directory that is late. */
function untilLetIn(ask: (user: string) => Promise<ReviewStatus>, user: string) {
  return waitFor(async () => {
    const status = await ask(user);
    expect([isUser(user), unavailable(user)]).toContainEqual(status);
    return status.authenticated;
  }, `${user} to be let in`);
}

/** Asks until Redis has an answer more. It is written after the review. */
async function untilShared(ask: () => Promise<unknown>): Promise<void> {
  const before = await cachedAnswers(redis);
  await waitFor(async () => {
    await ask();
    return (await cachedAnswers(redis)).some((key) => !before.includes(key));
  }, 'an answer in Redis');
}

describe('a directory of users of tokens', () => {
  test.each([
    { name: 'is down', how: 'stop', known: 'kim', unknown: 'mia' },
    { name: 'hangs', how: 'hang', known: 'lee', unknown: 'ned' },
  ] as const)(
    'that $name is an error or its last answer within staleTtl, and no user has fewer groups',
    async ({ how, known, unknown }) => {
      const { slapd } = people;
      const gateway = gatewayOf(0);
      const { ask } = askerOf(gateway);
      const [stays, ends] = [`brief:${known}`, `ending:${known}`];
      const staleAnswers = async () =>
        (await scrape(gateway)).value(
          'sallyport_directory_lookups_total{authenticator="brief",result="stale"}',
        ) ?? 0;
      await untilShared(() => untilLetIn(ask, stays));
      await untilLetIn(ask, ends);
      const before = await staleAnswers();
      await slapd[how]();
      try {
        await waitFor(async () => {
          expect(await ask(stays)).toEqual(isUser(stays));
          return (await staleAnswers()) > before;
        }, 'a stale answer');
        await waitFor(async () => {
          const status = await ask(ends);
          expect([isUser(ends), unavailable(ends)]).toContainEqual(status);
          return status.error !== undefined;
        }, 'the end of staleTtl');
        for (const user of [`brief:${unknown}`, `lenient:${unknown}`, ends])
          expect(await ask(user)).toEqual(unavailable(user));
        expect(await ask(stays)).toEqual(isUser(stays));
        // The other replica has the answer from Redis alone.
        await untilLetIn(askerOf(gatewayOf(1)).ask, stays);
      } finally {
        await slapd.start();
      }
      for (const user of [`brief:${unknown}`, `lenient:${unknown}`, ends, stays])
        await untilLetIn(ask, user);
    },
  );

  test('answers by its second server when the first one hangs, or goes away', async () => {
    const { ask } = askerOf(gatewayOf(1));
    await untilLetIn(ask, 'pair:ann');
    expect(proxy.plans.pass).toBeGreaterThan(0);
    hangs = true;
    await people.slapd.stop();
    await people.slapd.start();
    await untilLetIn(ask, 'pair:bea');
    expect(proxy.plans.stall).toBeGreaterThan(0);
    await proxy[Symbol.asyncDispose]();
    await untilLetIn(ask, 'pair:cleo');
  });

  test('that answers after the caller has left answers the others', async () => {
    const { slapd } = people;
    const gateway = gatewayOf(0);
    const { client, ask } = askerOf(gateway);
    const inProgress = async (count: number) =>
      waitFor(
        async () => (await scrape(gateway)).value('sallyport_in_flight_token_reviews') === count,
        `${count} reviews in progress`,
      );
    const errors = async () =>
      (await scrape(gateway)).value(
        'sallyport_directory_lookups_total{authenticator="robots",result="error"}',
      );
    const before = await errors();
    const leave = new AbortController();
    const asking = (user: string) =>
      client.send({ body: reviewBody(tokenOf(user)), signal: leave.signal });
    const both = ['robots:ann', 'robots:bea'] as const;
    await slapd.hang();
    const [stays, ...gone] = [ask(both[0]), ...both.map(asking)];
    try {
      const left = Promise.all(gone.map((one) => expect(one).rejects.toThrow('aborted')));
      await inProgress(3);
      leave.abort();
      await left;
      await inProgress(1);
    } finally {
      await slapd.start();
    }
    expect(await stays).toEqual(isUser(both[0]));
    for (const user of both) expect(await ask(user)).toEqual(isUser(user));
    // A caller who leaves is not an error of the directory.
    expect(await errors()).toBe(before);
  });

  test('is asked in a changed way after a reload, which ends no review', async () => {
    const { slapd } = people;
    const config = (filter: string, refresh: string) => {
      const user = { base: `ou=people,${slapd.suffix}`, filter };
      const [timeout, serverTimeout] = patient;
      const corp = directoryEntry('corp', timeout, { user, ...serverTimeout });
      return {
        server: { reviewTimeout: '30s' },
        authenticators: [looksUp('robots', 'corp', { refresh }), corp],
      };
    };
    const [all, without] = ['(uid={username})', '(&(uid={username})(!(uid=cleo)))'];
    await using gateway = await startGateway({
      config: config(all, '1h'),
      files: { ...people.files, ...tokenFiles },
    });
    const { ask } = askerOf(gateway);
    expect(await ask('robots:cleo')).toEqual(isUser('robots:cleo'));
    const before = await searches();
    await gateway.configure(config(all, '2h'));
    await gateway.reload();
    expect(await ask('robots:cleo')).toEqual(isUser('robots:cleo'));
    expect(await searches()).toBe(before);

    await slapd.hang();
    const inProgress = ask('robots:dan');
    try {
      await waitFor(
        async () => (await scrape(gateway)).value('sallyport_in_flight_token_reviews') === 1,
        'a review in progress',
      );
      await gateway.configure(config(without, '2h'));
      await gateway.reload();
    } finally {
      await slapd.start();
    }
    expect(await inProgress).toEqual(isUser('robots:dan'));
    expect(await ask('robots:cleo')).toEqual(refused);
    expect(await ask('robots:dan')).toEqual(isUser('robots:dan'));
  });
});

describe('an answer that all replicas have cached', () => {
  const both = (one: ReviewStatus) => [one, one];
  const ask = (user: string) => replicas.ask(tokenOf(user));

  test('costs the directory one lookup', async () => {
    const [one, other] = [askerOf(gatewayOf(0)), askerOf(gatewayOf(1))];
    const left: string[] = users.shared.map((username) => `shared:${username}`);
    const isShared = async () => {
      const user = left.shift() ?? '';
      await untilShared(async () => expect(await one.ask(user)).toEqual(isUser(user)));
      const before = await searches();
      expect(await other.ask(user)).toEqual(isUser(user));
      return (await searches()) === before;
    };
    // What came to Redis may be a late answer of another test.
    await waitFor(isShared, 'an answer that costs one lookup');
  });

  test.each([
    { name: 'the name of the token', username: 'flo', subject: ['--user', 'robots:flo'] },
    { name: 'the name in the directory', username: 'gus', subject: ['--user', 'corp:gus'] },
    { name: 'a group of the directory', username: 'hal', subject: ['--group', 'corp:k8s-hal'] },
  ])('is not used after a block of $name', async ({ username, subject }) => {
    const user = `robots:${username}`;
    expect(await ask(user)).toEqual(both(isUser(user)));
    const blocked = await replicas.operator.run(['block', ...subject, '--for', '1h']);
    expect(await ask(user)).toEqual(both(refused));
    expect(blocked).toMatchObject({ code: 0, stderr: '' });
    expect(blocked.stdout).toContain('\nconfirmed by 2 of 2 replicas.\n');
    expect(await ask('robots:jon')).toEqual(both(isUser('robots:jon')));
  });

  test('is forgotten after revoke of the name in the directory, which is asked again', async () => {
    const { slapd } = people;
    const user = 'robots:ivy';
    expect(await ask(user)).toEqual(both(isUser(user)));
    const dn = `uid=ivy,ou=people,${slapd.suffix}`;
    await slapd.modify(toReplacements([{ dn, attributes: { pwdStartTime: '20990101000000Z' } }]));
    expect(await ask(user)).toEqual(both(isUser(user)));
    const revoked = await replicas.operator.run(['revoke', '--user', 'corp:ivy']);
    expect(await ask(user)).toEqual(both(refused));
    expect(revoked.stdout).toContain('\nconfirmed by 2 of 2 replicas.\n');
  });
});

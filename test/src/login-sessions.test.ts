import { isDeepStrictEqual } from 'node:util';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AuditLine, readTrailSoFar } from './testing/audit-trail.ts';
import type { Gateway } from './testing/gateway.ts';
import { clusters, type LoginPlace, startLogin } from './testing/login-gateway.ts';
import type { ListedToken } from './testing/redis-commands.ts';
import { randomToken, secret, sha256 } from './testing/tokens.ts';

const refused = { authenticated: false };

/** Each test that shares it adds users of its own. */
let place: LoginPlace;
beforeAll(async () => {
  place = await startLogin({
    count: 2,
    login: { revalidate: '1s', maxSessions: 2, idle: '2h' },
    // So that a refusal is not what is cached from before.
    entry: { cache: { staleTtl: '10m' } },
    user: { attributes: { username: 'uid', uid: 'entryUUID' } },
    more: { audit: { output: 'audit.log' } },
  });
});
afterAll(() => place[Symbol.asyncDispose]());

/** Waits until each gateway refuses a token. */
async function untilRefused({ reviews }: LoginPlace, token: string): Promise<void> {
  const isRefused = async () => (await reviews(token)).every(({ authenticated }) => !authenticated);
  await waitFor(isRefused, 'the session to be refused');
}

describe.concurrent('a session', () => {
  test('is listed with its device, and all of a user end at once', async () => {
    const { people, ask, logIn, reviews } = place;
    const { alice, bob } = people;
    const token = await logIn(alice, { device: 'laptop' });
    const elsewhere = await logIn(alice, { device: 'desktop', cluster: 'staging' }, 1);
    const bobs = await logIn(bob);
    const mine = await ask({ method: 'GET', path: '/v1/session', token }, 1);
    expect(mine).toMatchObject({
      status: 200,
      json: { user: { username: 'corp:alice', groups: ['corp:k8s-admins'] }, cluster: 'prod', device: 'laptop' },
    });
    const listed = await ask({ method: 'GET', path: '/v1/sessions', token });
    expect(listed.json?.sessions).toMatchObject([
      { device: 'laptop', cluster: 'prod', current: true, lastUsedAt: expect.any(String), id: mine.json?.id },
      { device: 'desktop', cluster: 'staging', current: false },
    ]);
    expect(await ask({ method: 'DELETE', path: '/v1/sessions', token })).toMatchObject({
      status: 200,
      json: { ended: 2 },
    });
    await untilRefused(place, token);
    await untilRefused(place, elsewhere);
    expect(await ask({ method: 'DELETE', path: '/v1/sessions', token })).toMatchObject({ status: 401 });
    for (const status of await reviews(bobs)) expect(status.authenticated).toBe(true);
  });

  test('loses a group when the directory takes it away', async () => {
    const { people, logIn, reviews } = place;
    const token = await logIn(await people.add('grace', 'k8s-grace'));
    for (const { user } of await reviews(token)) expect(user?.groups).toEqual(['corp:k8s-grace']);
    const group = `cn=k8s-grace,ou=groups,${people.slapd.suffix}`;
    await people.slapd.modify(`dn: ${group}\nchangetype: modify\nreplace: member\nmember: ${people.bob.dn}\n`);
    const isGone = async () => (await reviews(token)).every(({ user }) => user?.groups?.length === 0);
    await waitFor(isGone, 'the group to be gone');
    for (const { authenticated } of await reviews(token)) expect(authenticated).toBe(true);
  });

  test.each([
    [
      'is locked',
      (dn: string) => `dn: ${dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
      'locked',
    ],
    ['is deleted', (dn: string) => `dn: ${dn}\nchangetype: delete\n`, 'unknown-user'],
    [
      'has another password',
      (dn: string) => `dn: ${dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${randomToken()}\n`,
      'password-changed',
    ],
  ] as const)('ends when its user %s, and the trail says why', async (_what, ldif, reason) => {
    const { people, logIn, reviews, replicas } = place;
    const user = await people.add(reason);
    const token = await logIn(user, { device: 'laptop' });
    for (const status of await reviews(token)) expect(status.authenticated).toBe(true);
    const second = Math.floor(Date.now() / 1000);
    await waitFor(() => Math.floor(Date.now() / 1000) > second, 'a later second, as directories count');
    await people.slapd.modify(ldif(user.dn));
    await untilRefused(place, token);
    const [gateway] = replicas.gateways;
    const line = await gateway?.output.waitForLine(
      ({ msg, reason: why }) => msg === 'token review' && why === reason,
      reason,
    );
    expect(line).toMatchObject({ outcome: 'rejected' });
    const username = `corp:${reason}`;
    const isRefusal = (line: AuditLine) => line.event === 'session-refused' && line.username === username;
    const refusals = async () => (await readTrailSoFar(gateway?.folder ?? '')).filter(isRefusal);
    await waitFor(async () => (await refusals()).length > 0, 'the audit line');
    // One line, however often it is refused.
    await reviews(token);
    const known = { authenticator: 'corp', username, cluster: 'prod', device: 'laptop' };
    expect(await refusals()).toMatchObject([{ ...known, reason, address: '127.0.0.1' }]);
  });

  test('does not pass to another person who gets the name', async () => {
    const { people, logIn, reviews } = place;
    const first = await people.add('same');
    const { dn, password, name } = first;
    const token = await logIn(first);
    const accepted = { user: { username: 'corp:same', uid: expect.any(String) } };
    expect(await reviews(token)).toMatchObject([accepted, accepted]);
    await people.slapd.modify(`dn: ${dn}\nchangetype: delete\n`);
    await people.slapd.add(
      `dn: ${dn}\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: ${name}\nuserPassword: ${password}\n`,
    );
    await untilRefused(place, token);
    expect(await reviews(await logIn(first))).toMatchObject([accepted, accepted]);
    expect(await reviews(token)).toEqual([refused, refused]);
  });

  test('is the oldest to end when there are more than maxSessions', async () => {
    const { people, logIn, redis, reviews } = place;
    const max = await people.add('max');
    const tokens = [];
    for (const device of ['one', 'two', 'three']) tokens.push(await logIn(max, { device }));
    const [first = '', ...others] = tokens;
    await untilRefused(place, first);
    for (const token of others) for (const status of await reviews(token)) expect(status.authenticated).toBe(true);
    // Nothing of it stays in Redis.
    expect(await redis.client().exists(`sessions:${sha256(first)}`)).toBe(0);
  });

  test('ends when it was not used for its idle time', async () => {
    const { people, logIn, redis, reviews } = place;
    const token = await logIn(await people.add('idle'));
    const client = redis.client();
    const key = `sessions:${sha256(token)}`;
    const hour = 3_600_000;
    const left = await client.pttl(key);
    expect([left > hour, left <= 2 * hour]).toEqual([true, true]);
    // As if half of it had passed: a use begins it anew.
    await client.pexpire(key, hour);
    await waitFor(async () => {
      for (const status of await reviews(token)) expect(status.authenticated).toBe(true);
      return (await client.pttl(key)) > hour;
    }, 'a use to extend the session');
    await client.pexpire(key, 1);
    await untilRefused(place, token);
  });

  test('is found by explain, block and revoke', async () => {
    const { people, ask, logIn, replicas } = place;
    const { operator } = replicas;
    const eve = await people.add('eve', 'k8s-eve');
    const token = await logIn(eve, { device: 'laptop' });
    const listed = (await operator.json('token', 'list', '--authenticator', 'sessions')) as { tokens: ListedToken[] };
    const session = { authenticator: 'corp', device: 'laptop', cluster: 'prod' };
    const own = listed.tokens.filter(({ user }) => user.username === 'corp:eve');
    expect(own).toMatchObject([{ state: 'good', session }]);
    expect(await operator.json('explain', '--user', 'corp:eve')).toMatchObject({
      authenticators: [
        { authenticator: 'sessions', answer: 'known', tokens: 1 },
        { authenticator: 'corp', answer: 'known' },
      ],
    });
    const explained = await operator.run(['explain'], token);
    expect(explained.code).toBe(0);
    const { prod, staging } = clusters;
    expect(explained.stdout).toContain(
      `it is a session for the cluster prod: asked for its audience, ${prod.audience}`,
    );
    const elsewhere = await operator.run(['explain', '--audience', staging.audience], token);
    expect(elsewhere.code).toBe(3);
    expect(elsewhere.stdout).toContain(
      `the token is good for the audiences ${prod.audience}, and asked for is ${staging.audience} (the review)`,
    );
    expect(await operator.run(['block', '--user', 'corp:eve', '--for', '1m'])).toMatchObject({ code: 0 });
    await untilRefused(place, token);
    const { name: username, password } = eve;
    expect(await ask({ body: { username, password, cluster: 'prod' } })).toMatchObject({ status: 401 });
    const revoked = await operator.run(['revoke', '--user', 'corp:eve']);
    expect(revoked.stdout).toContain('1 session revoked');
  });
});

test('of many logins of one user at once, no more than maxSessions live, all are listed, and a logout everywhere ends them', async () => {
  const { people, ask, reviews } = place;
  const { name: username, password } = await people.add('crowd');
  const tokens: string[] = [];
  for (const round of [1, 2, 3]) {
    const logins = Array.from({ length: 10 }, (_, at) => {
      return ask({ body: { username, password, cluster: 'prod', device: `${round} ${at}` } }, at % 2);
    });
    for (const { json } of await Promise.all(logins)) if (json?.token) tokens.push(secret(String(json.token)));
  }
  // The lockout guard lets so many attempts of one user wait, and no more.
  expect(tokens.length).toBeGreaterThan(6);
  const inForce = async () => {
    const states = await Promise.all(tokens.map((token) => reviews(token)));
    return tokens.filter((_, at) => states[at]?.some(({ authenticated }) => authenticated));
  };
  const living = await inForce();
  expect(living).toHaveLength(2);
  const [token = ''] = living;
  const listed = await ask({ method: 'GET', path: '/v1/sessions', token });
  const ids = living.map((one) => ({ id: sha256(one).slice(0, 12) }));
  expect(listed.json?.sessions).toHaveLength(2);
  expect(listed.json?.sessions).toMatchObject(expect.arrayContaining(ids.map((id) => expect.objectContaining(id))));
  expect(await ask({ method: 'DELETE', path: '/v1/sessions', token })).toMatchObject({ json: { ended: 2 } });
  await waitFor(async () => (await inForce()).length === 0, 'all sessions to be refused');
});

describe('in an outage, a session', () => {
  let own: LoginPlace;
  const entry = (staleTtl: string) => ({ cache: { staleTtl }, circuit: { openFor: '1s' } });
  beforeAll(async () => {
    own = await startLogin({ login: { revalidate: '1s' }, entry: entry('10m') });
  });
  afterAll(() => own[Symbol.asyncDispose]());

  /** Waits until a review was answered by what was known before. */
  async function untilStale(token: string): Promise<void> {
    const { output } = own.replicas.gateways[0] as Gateway;
    const from = output.lines.length;
    const isStale = async () => {
      expect(await own.reviews(token)).toMatchObject([{ authenticated: true }]);
      return output.lines.slice(from).some(({ msg, cached }) => msg === 'token review' && cached === 'stale');
    };
    await waitFor(isStale, 'a stale answer');
  }

  test('goes on while the directory is down, and is refused after staleTtl', async () => {
    const { people, logIn, reviews, ask, replicas, config } = own;
    const [gateway] = replicas.gateways as [Gateway];
    const { name: username, password } = await people.add('stale');
    const token = await logIn({ name: username, password });
    expect(await reviews(token)).toEqual([expect.objectContaining({ authenticated: true })]);
    await people.slapd.stop();
    await untilStale(token);
    expect(await ask({ body: { username, password, cluster: 'prod' } })).toMatchObject({
      status: 503,
      json: { code: 'unavailable' },
    });
    const from = gateway.output.lines.length;
    const [sessions] = config.authenticators as readonly object[];
    const corp = people.authenticator({ entry: entry('2s') });
    await gateway.configure({ ...config, authenticators: [sessions, corp] });
    await gateway.waitForLog('config reloaded', from);
    const unchecked = { authenticated: false, error: expect.stringContaining('sessions') };
    await waitFor(async () => !(await reviews(token))[0]?.authenticated, 'the end of staleTtl');
    expect(await reviews(token)).toEqual([unchecked]);
    // Logging out needs no directory.
    expect(await ask({ method: 'DELETE', path: '/v1/session', token })).toMatchObject({ status: 204 });
    await people.slapd.start();
    const isRefused = async () => isDeepStrictEqual(await reviews(token), [refused]);
    await waitFor(isRefused, 'the directory to be asked again, and the session to be refused');
    const login = { body: { username, password, cluster: 'prod' } };
    await waitFor(async () => (await ask(login)).status === 201, 'logins to work again');
    const restored = gateway.output.lines.length;
    await gateway.configure(config);
    await gateway.waitForLog('config reloaded', restored);
  });

  test('goes on while its Redis is down, and no one can log in or out then', async () => {
    const { people, redis, logIn, reviews, ask } = own;
    const token = await logIn(people.alice);
    expect(await reviews(token)).toMatchObject([{ authenticated: true }]);
    await redis.stop();
    await untilStale(token);
    const { name: username, password } = people.alice;
    const unavailable = { status: 503, json: { code: 'unavailable' }, headers: { 'retry-after': '5' } };
    expect(await ask({ body: { username, password, cluster: 'prod' } })).toMatchObject(unavailable);
    expect(await ask({ method: 'DELETE', path: '/v1/session', token })).toMatchObject(unavailable);
    await redis.start();
    const isLoggedOut = async () => (await ask({ method: 'DELETE', path: '/v1/session', token })).status === 204;
    await waitFor(isLoggedOut, 'a logout to work again');
    // That needs no Redis.
    expect(await reviews(token)).toEqual([refused]);
    const next = await logIn(people.alice);
    await waitFor(async () => (await reviews(next))[0]?.authenticated === true, 'sessions to be looked up again');
  });
});

/** Waits until each replica has polled the cache Redis from beginning to end. */
async function untilPolled({ redis }: LoginPlace): Promise<void> {
  const notes = () => redis.client().hgetall('sallyport:{revocations}:replicas');
  // Each poll begins with another note. One poll may do it twice, if the revocation list has changed.
  for (let count = 0; count < 3; count += 1) {
    const before = await notes();
    const areNew = async () => Object.entries(await notes()).every(([id, note]) => note !== before[id]);
    await waitFor(areNew, 'a poll of each replica');
  }
}

describe('a session that has ended', () => {
  let store: RedisServer;
  let own: LoginPlace;
  beforeAll(async () => {
    store = await startRedis();
    // Whatever is over sooner was not ended by openFor.
    const sessions = { url: store.url, entry: { circuit: { openFor: '1h' } } };
    own = await startLogin({ count: 2, login: { maxSessions: 2 }, sessions });
  });
  afterAll(async () => {
    await own[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  });
  afterEach(() => store.start());
  // The test before ended with an outage.
  beforeEach(async () => {
    for (const at of own.replicas.gateways.keys()) {
      await waitFor(() => own.logIn(own.people.bob, {}, at).catch(() => undefined), 'each replica to be well');
    }
  });
  const logInAs = async (name: string) => {
    const person = await own.people.add(name);
    return { person, token: await own.logIn(person) };
  };
  const accepted = expect.objectContaining({ authenticated: true });

  test('is refused by all replicas while its Redis hangs', async () => {
    const { ask, logIn, reviews } = own;
    const { token: one } = await logInAs('one');
    const { person, token: first } = await logInAs('all');
    const { person: many, token: surplus } = await logInAs('many');
    const { token: other } = await logInAs('other');
    const second = await logIn(person, {}, 1);
    await logIn(many);
    const ended = [one, first, second, surplus];
    for (const token of [...ended, other]) {
      await waitFor(
        async () => (await reviews(token)).every(({ authenticated }) => authenticated),
        'both to accept it',
      );
    }
    expect(await ask({ method: 'DELETE', path: '/v1/session', token: one })).toMatchObject({ status: 204 });
    expect(await ask({ method: 'DELETE', path: '/v1/sessions', token: first })).toMatchObject({ json: { ended: 2 } });
    await logIn(many);
    // Those that ended a session publish it; then the others read that. No replica is asked about one in between.
    await untilPolled(own);
    await untilPolled(own);
    await store.hang();
    for (const token of ended) expect(await reviews(token)).toEqual([refused, refused]);
    // The last answer about a session that goes on is used.
    expect(await reviews(other)).toEqual([accepted, accepted]);
  });

  test('right after an outage of its Redis is refused at once by the replica that ended it, and soon by the others', async () => {
    const { ask, reviews, replicas } = own;
    const { token } = await logInAs('late');
    await waitFor(async () => (await reviews(token)).every(({ authenticated }) => authenticated), 'both to accept it');
    const from = replicas.gateways.map(({ output }) => output.lines.length);
    await store.stop();
    const haveOpened = async () => {
      expect(await reviews(token)).toEqual([accepted, accepted]);
      return replicas.gateways.every(({ output }, at) =>
        output.lines.slice(from[at]).some(({ msg }) => msg.startsWith('circuit opened')),
      );
    };
    await waitFor(haveOpened, 'the circuits to open');
    await store.start();
    const isLoggedOut = async () => (await ask({ method: 'DELETE', path: '/v1/session', token })).status === 204;
    await waitFor(isLoggedOut, 'the logout');
    const [first] = await reviews(token);
    expect(first).toEqual(refused);
    await waitFor(async () => isDeepStrictEqual(await reviews(token), [refused, refused]), 'the other replica');
  });
});

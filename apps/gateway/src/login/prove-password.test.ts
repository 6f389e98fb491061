import { AuthenticatorError, type IssuedToken, type TokenRequest } from '@sallyport/authenticator';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LoginConfig } from '../config/types.ts';
import { noBlocks, noRevocations } from '../engine/revocation/testing/no-blocks.ts';
import { createSessionTexts } from '../engine/sessions/session-text.ts';
import { createFactorPolicy } from './factors/policy.ts';
import type { FactorNeed } from './factors/second-factor.ts';
import { LoginError } from './login-error.ts';
import { countIncomplete, countLogin, type LoginRequest } from './login-request.ts';
import type { LoginLink, LoginService } from './login-service.ts';
import type { Proof } from './proof.ts';
import { createRateLimit } from './rate-limit.ts';
import { parseLoginBody } from './request-bodies.ts';
import { logInAtTerminal } from './terminal-login.ts';

type Answer = Awaited<ReturnType<LoginLink['logIn']>>;

const unknown: Answer = { kind: 'no-opinion' };
const wrong: Answer = { kind: 'rejected', reason: 'invalid-credentials', subject: 'jane' };
const loggedIn: Answer = {
  kind: 'logged-in',
  backendUser: { username: 'jane', uid: '7' },
  user: { username: 'corp:jane' },
};
const down = new AuthenticatorError('unavailable', 'no answer about hunter2hunter2');

const request = { username: 'Jane', password: 'hunter2hunter2', device: 'laptop' };
const clusters = { prod: { audience: 'https://prod', server: 'https://prod:6443' } };

interface ServiceOptions {
  readonly links?: Readonly<Record<string, Answer | Error>>;
  readonly onError?: 'continue' | 'stop';
  readonly config?: Partial<LoginConfig>;
  /** Replaces what the issuer does. It works by default. */
  readonly issuer?: 'fails' | 'forgets' | 'only revokes';
  /** Whether the client hangs up as soon as its session is made. */
  readonly hangsUp?: boolean;
  /** What the user must prove besides the password. Default: there are no second factors. */
  readonly need?: FactorNeed | Error;
  /** The most logins of a user in an hour. */
  readonly logins?: number;
}

function fail(error: Error): never {
  throw error;
}

function createService(setup: ServiceOptions = {}) {
  const {
    links = { corp: loggedIn },
    onError = 'continue',
    config,
    issuer,
    hangsUp,
    logins = 100,
    need,
  } = setup;
  const client = new AbortController();
  const asked: string[] = [];
  const lines: string[] = [];
  const issued: (IssuedToken & { request: TokenRequest })[] = [];
  const [revoked, deleted]: [string[], string[]] = [[], []];
  const service = {
    config: { ttl: 3_600_000, idle: 60_000, maxSessions: 2, clusters, ...config },
    passwordLinks: Object.entries(links).map(
      ([name, answer]): LoginLink => ({
        name,
        onError,
        username: { prefix: name.startsWith('robots') ? 'robots:' : 'corp:' },
        hasUids: () => false,
        async logIn() {
          asked.push(name);
          if (answer instanceof Error) throw answer;
          return answer;
        },
      }),
    ),
    texts: createSessionTexts([]),
    issuer: {
      async create(given: TokenRequest) {
        if (hangsUp) client.abort();
        if (issuer === 'fails') throw new Error('Redis is down');
        const digest = `${issued.length}`.repeat(64).slice(0, 64);
        const session =
          issuer === 'forgets' ? {} : { session: given.session?.describe(digest) ?? '' };
        const made = {
          digest,
          user: given.user,
          expiresAt: given.expiresAt as Date,
          ...session,
          request: given,
        };
        issued.push({ ...made, issuedAt: new Date(issued.length) });
        return { token: `token ${digest}`, issued: made };
      },
      async *list(_filter: unknown, signal: AbortSignal) {
        signal.throwIfAborted();
        yield* [...issued].reverse();
      },
      async *revoke({ digest }: { digest: string }) {
        revoked.push(digest);
        yield* [];
      },
      ...(issuer !== 'only revokes' && {
        async delete({ digest }: { digest: string }) {
          deleted.push(digest);
        },
      }),
    },
    logger: {
      warn: (fields: object, message: string) => lines.push(JSON.stringify([fields, message])),
    },
    describeProblem: (error: unknown) => String(error),
    blocks: noBlocks,
    revocations: noRevocations,
    factorPolicy: createFactorPolicy({
      authenticators: Object.keys(links),
      ...(need && { secondFactor: { required: 'none', authenticators: ['corp'] } }),
    }),
    ...(need && {
      factors: {
        secondFactor: { findNeed: async () => (need instanceof Error ? fail(need) : need) },
      },
    }),
    timeout: 60_000,
  } as unknown as LoginService;
  const facts: LoginRequest['facts'] = { action: 'login' };
  const limit = createRateLimit(
    () => ({ count: logins, per: 3_600_000 }),
    () => 0,
  );
  const limits = { logins: limit };
  const origin = { address: '192.0.2.1', signal: client.signal, facts, limits };
  return {
    asked,
    lines,
    issued,
    revoked,
    deleted,
    /** The facts about the login, apart from its session. */
    get progress() {
      const { action: _, device: __, session: ___, token: ____, ...progress } = facts;
      return progress;
    },
    async logIn(changed: object = {}) {
      const context = { body: {} };
      const made = { ...origin, context, service } as unknown as LoginRequest;
      await logInAtTerminal(made, { ...request, ...changed });
      const { session, token } = facts;
      if (session === undefined) throw new Error('there is no session');
      return { session, token, ...(context.body as { readonly user: object }) };
    },
  };
}

describe('a login', () => {
  test('makes a session with the names of its backend, bound to its cluster and its end', async () => {
    const before = Date.now();
    const { logIn, issued } = createService();
    const { session, user, token } = await logIn();
    expect(session).toMatchObject({
      authenticator: 'corp',
      username: 'jane',
      uid: '7',
      name: 'corp:jane',
      cluster: 'prod',
      audience: 'https://prod',
      device: 'laptop',
      address: '192.0.2.1',
    });
    expect(session.since).toBeGreaterThanOrEqual(before);
    expect(session.until).toBe(session.since + 3_600_000);
    expect(user).toEqual({ username: 'corp:jane' });
    expect(token).toContain('token');
    expect(issued[0]?.request).toMatchObject({
      audiences: ['https://prod'],
      expiresAt: new Date(session.until),
    });
  });

  test.each([
    {
      what: 'the first that knows the name',
      links: { a: unknown, b: loggedIn, c: wrong },
      asked: ['a', 'b'],
    },
    { what: 'the next one after an outage', links: { a: down, b: loggedIn }, asked: ['a', 'b'] },
  ] as const)('is decided by $what', async ({ links, asked }) => {
    const place = createService({ links });
    await place.logIn();
    expect([place.asked, place.progress]).toEqual([asked, { authenticator: 'b' }]);
  });

  test.each([
    {
      what: 'no one knows the name',
      links: { a: unknown, b: unknown },
      status: 401,
      asked: ['a', 'b'],
      progress: { reason: 'unknown-user' },
    },
    {
      what: 'the first one refuses it',
      links: { a: wrong, b: loggedIn },
      status: 401,
      asked: ['a'],
      progress: { authenticator: 'a', reason: 'invalid-credentials', subject: 'jane' },
    },
    {
      what: 'one could not be asked, and the others do not know it',
      links: { a: down, b: unknown },
      status: 503,
      asked: ['a', 'b'],
      progress: { authenticator: 'a' },
    },
    {
      what: 'no one could be asked',
      links: { a: down, b: down },
      status: 503,
      asked: ['a', 'b'],
      progress: { authenticator: 'b' },
    },
  ] as const)('is none when $what', async ({ links, status, asked, progress }) => {
    const place = createService({ links });
    await expect(place.logIn()).rejects.toMatchObject({ status });
    expect([place.asked, place.progress, place.issued]).toEqual([asked, progress, []]);
    expect(place.lines.join()).not.toContain('hunter2');
  });

  test('shows no one who has an account while one of several could not be asked', async () => {
    const downFirst = createService({ links: { a: down, b: wrong } });
    const other = createService({ links: { a: down, b: unknown } });
    const refused = { status: 503, code: 'unavailable', isGuess: true };
    for (const place of [downFirst, other])
      await expect(place.logIn()).rejects.toMatchObject(refused);
    // It is an outage alone for who can't be asked about anyone.
    const none = createService({ links: { a: down, b: down } });
    await expect(none.logIn()).rejects.toMatchObject({ status: 503, isGuess: false });
  });

  test('says the same of an outage and of a user whom a directory cannot check', async () => {
    const failed = new AuthenticatorError('failed', 'more than 2 groups');
    const errors = [down, failed].map((error) =>
      createService({ links: { a: error } })
        .logIn()
        .catch((thrown) => thrown),
    );
    const [ofOutage, ofUser] = await Promise.all(errors);
    expect(ofUser).toMatchObject({
      status: 503,
      message: expect.stringContaining("the login can't be checked now"),
    });
    expect(ofUser).toEqual(ofOutage);
  });

  describe('while an authenticator of second factors is down, at another one with the same prefix', () => {
    const nothing: FactorNeed = { kind: 'nothing' };
    const factor: FactorNeed = { kind: 'factor', methods: ['totp'], record: {} as never };

    test.each<{
      what: string;
      answer: Answer | Error;
      second: string;
      need: FactorNeed | Error;
      status: number;
    }>([
      { what: 'has no second factor', answer: down, second: 'corp2', need: nothing, status: 503 },
      { what: 'has one', answer: down, second: 'corp2', need: factor, status: 401 },
      {
        what: 'may have one: the store is down',
        answer: down,
        second: 'corp2',
        need: new Error('Redis is down'),
        status: 503,
      },
    ])('refuses a user who $what', async ({ answer, second, need, status }) => {
      const place = createService({ links: { corp: answer, [second]: loggedIn }, need });
      await expect(place.logIn()).rejects.toMatchObject({ status });
      expect(place.issued).toEqual([]);
    });

    test.each<{
      what: string;
      links: Record<string, Answer | Error>;
      need: FactorNeed | undefined;
    }>([
      { what: 'with another prefix', links: { corp: down, robots: loggedIn }, need: nothing },
      { what: 'without second factors', links: { corp2: down, corp: loggedIn }, need: nothing },
      {
        what: 'that does not know the name',
        links: { corp: unknown, corp2: loggedIn },
        need: nothing,
      },
      {
        what: 'of a config without second factors',
        links: { corp: down, corp2: loggedIn },
        need: undefined,
      },
    ])('has no effect if it is one $what', async ({ links, need }) => {
      const place = createService({ links, ...(need && { need }) });
      await place.logIn();
      expect(place.issued).toHaveLength(1);
    });
  });

  test('asks no further one after an outage with onError: stop', async () => {
    const place = createService({ links: { a: down, b: loggedIn }, onError: 'stop' });
    await expect(place.logIn()).rejects.toMatchObject({ status: 503 });
    expect(place.asked).toEqual(['a']);
  });

  test('asks no one before its cluster is known', async () => {
    const two = { ...clusters, staging: clusters.prod };
    for (const [changed, config, code] of [
      [{ cluster: undefined }, { clusters: two }, 'cluster-required'],
      [{ cluster: 'other' }, { clusters: two }, 'unknown-cluster'],
      [{ cluster: 'toString' }, { clusters }, 'unknown-cluster'],
      [{ cluster: 'prod' }, { clusters: {} }, 'unknown-cluster'],
    ] as const) {
      const place = createService({ config });
      const message = expect.stringContaining(Object.keys(config.clusters).join(', '));
      await expect(place.logIn(changed)).rejects.toMatchObject({ status: 400, code, message });
      expect(place.asked).toEqual([]);
    }
    const { session } = await createService({ config: { clusters: {} } }).logIn();
    expect([session.cluster, session.audience]).toEqual([undefined, undefined]);
  });

  test('is unavailable when the session could not be stored, or was not stored as one', async () => {
    for (const issuer of ['fails', 'forgets'] as const) {
      await expect(createService({ issuer }).logIn()).rejects.toMatchObject({
        status: 503,
        code: 'unavailable',
      });
    }
  });

  test('deletes the oldest sessions beyond maxSessions, or revokes them', async () => {
    const { logIn, issued, revoked, deleted } = createService();
    for (let count = 0; count < 3; count++) await logIn();
    expect([deleted, revoked]).toEqual([[issued[0]?.digest], []]);
    const other = createService({ issuer: 'only revokes' });
    for (let count = 0; count < 3; count++) await other.logIn();
    expect([other.deleted, other.revoked]).toEqual([[], [other.issued[0]?.digest]]);
  });

  test('ends the excess although its client has hung up', async () => {
    const { logIn, issued, deleted } = createService({ hangsUp: true });
    for (let count = 0; count < 3; count++) await logIn();
    expect(deleted).toEqual([issued[0]?.digest]);
  });

  test('is refused for a while to a user who has logged in too often, whatever they call themselves', async () => {
    const { logIn, issued } = createService({ logins: 3 });
    for (const username of ['jane', 'JANE', ' jane ']) await logIn({ username });
    await expect(logIn({ username: 'Jane ' })).rejects.toMatchObject({
      status: 429,
      retryAfter: 1_200,
      isGuess: false,
    });
    expect(issued).toHaveLength(3);
  });
});

test('no name of a user uses up the logins of another one, or of a user whose second factor is missing at an address', () => {
  const addresses = ['192.0.2.1', '2001:db8::1'];
  const parts = ['jane', ' ', '|', ':', '\n', '\0', '"', ',', '[', ']', ' without a factor at '];
  const username = fc
    .array(fc.constantFrom(...parts, ...addresses), { maxLength: 5 })
    .map((texts) => texts.join(''));
  const login = fc.record({ username, address: fc.constantFrom(undefined, ...addresses) });
  const near = fc
    .record({ username: fc.constantFrom('jane', ''), address: fc.constantFrom(...addresses) })
    .chain((first) => {
      const { username: name, address } = first;
      const spelled = [`${name} without a factor at ${address}`, JSON.stringify([name, address])];
      return fc.tuple(
        fc.constant(first),
        fc.constantFrom(...spelled).map((text) => ({ username: text, address: undefined })),
      );
    });
  fc.assert(
    fc.property(fc.oneof(fc.tuple(login, login), near), ([first, second]) => {
      fc.pre(first.username !== second.username || first.address !== second.address);
      const logins = createRateLimit(
        () => ({ count: 1, per: 60_000 }),
        () => 0,
      );
      const count = ({ username: name, address }: typeof first | typeof second) => {
        const proof = { user: { username: name } } as Proof;
        const login = { limits: { logins }, address } as LoginRequest;
        if (address === undefined) countLogin(login, proof);
        else countIncomplete(login, proof);
      };
      count(first);
      expect(() => count(second)).not.toThrow();
      expect(() => count(first)).toThrow('too many logins');
    }),
    { numRuns: 500 },
  );
});

const good = { username: 'jane', password: 'hunter2hunter2' };

test.each([
  good,
  { ...good, cluster: 'prod', device: "jane's laptop 💻" },
  { ...good, username: 'jané@example.com' },
])('%j is a login', (body) => {
  expect(parseLoginBody(body)).toEqual(body);
});

describe('what is not a login is refused without a word of it:', () => {
  test.each([
    [undefined, 'the body'],
    [null, 'the body'],
    [[good], 'the body'],
    ['jane', 'the body'],
    [{ password: good.password }, 'username'],
    [{ ...good, username: '' }, 'username'],
    [{ ...good, username: 'x'.repeat(1025) }, 'username'],
    [{ ...good, username: 'a\ud800' }, 'username'],
    [{ ...good, password: '' }, 'password'],
    [{ ...good, password: 7 }, 'password'],
    [{ ...good, password: ['hunter2hunter2'] }, 'password'],
    [{ ...good, cluster: '' }, 'cluster'],
    [{ ...good, device: 'x'.repeat(65) }, 'device'],
    [{ ...good, device: 'a\nb' }, 'device'],
    [{ ...good, device: 'a\u202eb' }, 'device'],
    [{ ...good, device: 'a\ufffdb' }, 'device'],
    [{ ...good, hunter2hunter2: true }, 'the body'],
  ])('%j', (body, field) => {
    const error = (() => {
      try {
        return parseLoginBody(body);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(LoginError);
    expect(error).toMatchObject({ status: 400, code: 'bad-request' });
    const { message } = error as LoginError;
    expect(message.startsWith(field)).toBe(true);
    expect(message).not.toContain('hunter2');
  });
});

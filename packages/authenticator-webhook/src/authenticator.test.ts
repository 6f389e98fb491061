import { recordingContext } from '@sallyport/authenticator/conformance';
import { countingMetrics } from '@sallyport/test-servers/counting-metrics';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createWebhookAuthenticator } from './authenticator.ts';
import { open } from './testing/open.ts';
import { type Behaviour, reviewWith, serve, user } from './testing/server.ts';
import { optionsFor, prefix, settled } from './testing/written-options.ts';

const token = `${prefix}a-token`;
const authenticated = { kind: 'authenticated', user };
const noOpinion = { kind: 'no-opinion' };

test('a token that is not recognized costs no request', async () => {
  const server = await serve();
  const { ask } = await open(optionsFor(server));
  expect(await ask('another')).toEqual(noOpinion);
  expect(server.connections).toBe(0);
});

test('a review is sent with nothing but the token and what is asked for', async () => {
  const server = await serve();
  const { ask } = await open(
    optionsFor(server, { version: 'v1beta1', url: `${server.url}/a?cluster=b` }),
  );
  await ask(token, { audiences: ['c'] });
  expect(server.received).toMatchObject([
    {
      method: 'POST',
      path: '/a?cluster=b',
      review: {
        apiVersion: 'authentication.k8s.io/v1beta1',
        kind: 'TokenReview',
        spec: { token, audiences: ['c'] },
      },
      headers: {
        accept: 'application/json',
        'content-type': 'application/json',
        'accept-encoding': 'identity',
        'sallyport-hops': '1',
      },
    },
  ]);
  expect(Object.keys(server.received[0]?.review ?? {})).toEqual(['apiVersion', 'kind', 'spec']);
});

describe('audiences', () => {
  const answering =
    (audiences?: readonly string[]): Behaviour =>
    () => ({ body: reviewWith({ authenticated: true, user, ...(audiences && { audiences }) }) });
  const own = { audiences: 'own', ownAudiences: ['x', 'y'] };
  test.each<{
    name: string;
    options: object;
    asked: string[];
    sent: string[] | undefined;
    answered: string[] | undefined;
    counted: string[] | undefined;
  }>([
    // The columns: the options, the audiences that the review asks for, those sent, those answered, those that count.
    {
      name: 'pass',
      options: {},
      asked: ['a', 'b'],
      sent: ['a', 'b'],
      answered: ['b', 'a', 'b'],
      counted: ['b', 'a'],
    },
    {
      name: 'pass, more than was sent',
      options: {},
      asked: ['a'],
      sent: ['a'],
      answered: ['a', 'vault'],
      counted: ['a'],
    },
    {
      name: 'pass, another than was sent',
      options: {},
      asked: ['a'],
      sent: ['a'],
      answered: ['vault'],
      counted: [],
    },
    {
      name: 'pass, none in the answer',
      options: {},
      asked: ['a'],
      sent: ['a'],
      answered: undefined,
      counted: undefined,
    },
    {
      name: 'pass, none in the review',
      options: {},
      asked: [],
      sent: undefined,
      answered: ['a'],
      counted: ['a'],
    },
    {
      name: 'none',
      options: { audiences: 'none' },
      asked: ['a'],
      sent: undefined,
      answered: undefined,
      counted: undefined,
    },
    {
      name: 'none, but the answer names some',
      options: { audiences: 'none' },
      asked: ['a'],
      sent: undefined,
      answered: ['b'],
      counted: ['b'],
    },
    {
      name: 'own',
      options: own,
      asked: ['a'],
      sent: ['x', 'y'],
      answered: ['y'],
      counted: undefined,
    },
    {
      name: 'own, another in the answer',
      options: own,
      asked: ['a'],
      sent: ['x', 'y'],
      answered: ['a'],
      counted: [],
    },
    {
      name: 'own, none in the answer',
      options: own,
      asked: ['a'],
      sent: ['x', 'y'],
      answered: undefined,
      counted: [],
    },
  ])('$name', async ({ options, asked, sent, answered, counted }) => {
    const server = await serve(answering(answered));
    const { ask } = await open(optionsFor(server, options));
    const decision = await ask(token, { audiences: asked });
    expect(decision).toEqual({ ...authenticated, ...(counted && { audiences: counted }) });
    expect(server.received[0]?.review.spec.audiences).toEqual(sent);
  });
});

test('extra: two keys that become one are an error, and not a user with the values of both', async () => {
  const extra = { team: ['a'], Team: ['admins'] };
  const server = await serve(() => ({
    body: reviewWith({ authenticated: true, user: { ...user, extra } }),
  }));
  const { failure } = await open(optionsFor(server));
  expect(await failure(token)).toEqual({
    code: 'failed',
    message: `${server.url}/authenticate: two keys of status.user.extra become one: set extra.drop or extra.rename for one of them`,
  });
  const { ask } = await open(optionsFor(server, { extra: { drop: ['Team'] } }));
  expect(await ask(token)).toEqual({ ...authenticated, user: { ...user, extra: { team: ['a'] } } });
});

test.each<{ name: string; ids: string[]; credential: object | undefined }>([
  { name: 'one id', ids: ['JTI=a=b'], credential: { jti: 'a=b' } },
  { name: 'an empty id', ids: ['JTI='], credential: undefined },
  { name: 'another kind of id', ids: ['X509SHA256=00'], credential: undefined },
  { name: 'two of another kind', ids: ['X509SHA256=00', 'X509SHA256=11'], credential: undefined },
  { name: 'none', ids: [], credential: undefined },
])('the id of a token can be blocked: $name', async ({ ids, credential }) => {
  const extra = { 'authentication.kubernetes.io/credential-id': ids };
  const server = await serve(() => ({
    body: reviewWith({ authenticated: true, user: { ...user, extra } }),
  }));
  const { ask } = await open(optionsFor(server, { extra: { drop: ['*'] } }));
  expect(await ask(token)).toEqual({ ...authenticated, ...(credential && { credential }) });
});

test.each([
  { ids: ['JTI=a', 'JTI=b'] },
  { ids: ['JTI=a', 'JTI=a'] },
  { ids: ['X509SHA256=00', 'JTI=a'] },
])(
  'a token with the ids $ids could not be checked: a block of one of them would not hold',
  async ({ ids }) => {
    const extra = { 'authentication.kubernetes.io/credential-id': ids };
    const server = await serve(() => ({
      body: reviewWith({ authenticated: true, user: { ...user, extra } }),
    }));
    const { failure } = await open(optionsFor(server, { extra: { drop: ['*'] } }));
    expect(await failure(token)).toEqual({
      code: 'failed',
      message: `${server.url}/authenticate: its answer names several credential ids, so a block of one could be missed`,
    });
  },
);

describe('a review that goes round', () => {
  test.each([0, 1, 2])('is forwarded after %i others', async (hops) => {
    const server = await serve();
    const { ask } = await open(optionsFor(server));
    expect(await ask(token, { hops })).toEqual(authenticated);
    expect(server.received[0]?.headers['sallyport-hops']).toBe(`${hops + 1}`);
  });

  test.each([3, 4, Number.POSITIVE_INFINITY])(
    'is an error after %d others, and no refusal',
    async (hops) => {
      const server = await serve();
      const { failure } = await open(optionsFor(server));
      expect(await failure(token, { hops })).toMatchObject({
        code: 'failed',
        message: expect.stringContaining('was forwarded 3 times before'),
      });
      expect(server.connections).toBe(0);
    },
  );
});

test('nothing that the peer wrote is in an error, a step, a log line or a metric', async () => {
  const words = 'the-peer-says';
  const replies: readonly Awaited<ReturnType<Behaviour>>[] = [
    { body: reviewWith({ error: `${words} ${token}` }) },
    { body: `${words} ${token}` },
    { status: 401, body: words },
    { status: 500, body: words },
    { status: 302, headers: { location: `/${words}` } },
    { body: { apiVersion: words } },
    { body: { kind: words } },
    { body: reviewWith({ authenticated: words }) },
    { body: reviewWith({ authenticated: true, user: { ...user, groups: words } }) },
    {
      body: reviewWith({
        authenticated: true,
        user: { ...user, extra: { [words]: ['a'], [words.toUpperCase()]: ['b'] } },
      }),
    },
  ];
  const server = await serve();
  const { ask, recorded } = await open(optionsFor(server));
  const steps: string[] = [];
  const trace = (step: string) => void steps.push(step);
  for (const reply of replies) {
    server.behave(() => reply);
    const outcome = await ask(token, { trace }).catch((error: Error) =>
      Object.getOwnPropertyDescriptors(error),
    );
    expect(JSON.stringify(outcome)).not.toMatch(/the-peer-says|a-token/i);
  }
  // The error of Node's parser contains the bytes of an answer.
  server.behave(
    (_received, answer) => void answer.socket?.end(`HTTP/1.1 200 OK\r\n${words} ${token}\r\n\r\n`),
  );
  const broken = await ask(token, { trace }).catch((error: Error) =>
    Object.getOwnPropertyDescriptors(error),
  );
  expect(JSON.stringify(broken)).toContain('Parse Error');
  const all = JSON.stringify([broken, steps, recorded.lines, recorded.metrics]);
  expect(all).not.toMatch(/the-peer-says|a-token/i);
  expect(steps).toHaveLength(replies.length);
});

describe('check', () => {
  const signal = new AbortController().signal;

  test.each<{ name: string; reply: Awaited<ReturnType<Behaviour>>; message: RegExp }>([
    {
      name: 'lets everyone in',
      reply: { body: reviewWith({ authenticated: true, user }) },
      message: /accepts a forged token/,
    },
    {
      name: 'is no webhook',
      reply: { body: '<html>' },
      message: /authenticate: its answer is not a JSON object, or is truncated: check the URL/,
    },
    {
      name: 'is elsewhere',
      reply: { status: 404 },
      message: /the status 404: check the path of options.url/,
    },
    {
      name: 'says true without a user',
      reply: { body: reviewWith({ authenticated: true }) },
      message: /status\.user is missing/,
    },
    {
      name: 'finds the token too long',
      reply: { status: 431 },
      message: /it answers with the status 431/,
    },
  ])('fails when the webhook $name', async ({ reply, message }) => {
    const server = await serve(() => reply);
    const { authenticator } = await open(optionsFor(server));
    await expect(authenticator.check?.(signal)).rejects.toThrow(message);
  });

  const bearer = { bearer: 'of-the-gateway' };

  test.each([400, 401, 403])('fails when %i does not count as a refusal', async (status) => {
    const server = await serve(() => ({ status }));
    for (const options of [bearer, { onUnauthorized: 'unavailable' }, { ...bearer, mode: 'api' }]) {
      const { authenticator } = await open(optionsFor(server, { url: server.url, ...options }));
      await expect(authenticator.check?.(signal)).rejects.toThrow(
        new RegExp(`it answers with the status ${status}.*: check `),
      );
    }
  });

  test('warns when a client certificate is refused, or a token, unless the config says which', async () => {
    const server = await serve(() => ({ status: 401 }));
    const client = await server.authority.issueClient('gateway');
    const files = { certFile: client.certificateFile, keyFile: client.keyFile };
    const warnings = async (options: object) => {
      const { authenticator, recorded } = await open(optionsFor(server, options));
      await authenticator.check?.(signal);
      return recorded.lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
    };
    expect(await warnings(files)).toEqual([
      expect.stringContaining('set onUnauthorized: unavailable'),
    ]);
    expect(await warnings({ ...files, onUnauthorized: 'no-opinion' })).toEqual([]);
    expect(await warnings({ ...bearer, onUnauthorized: 'no-opinion' })).toEqual([]);
    expect(await warnings({})).toEqual([]);
  });

  test('sends a token that no one has, with a prefix of the options', async () => {
    const server = await serve(() => ({ body: reviewWith({}) }));
    const { authenticator, recorded } = await open(optionsFor(server));
    await authenticator.check?.(signal);
    await authenticator.check?.(signal);
    const tokens = server.received.map(({ review }) => review.spec.token);
    expect(new Set(tokens).size).toBe(2);
    expect(tokens.every((one) => one.startsWith(prefix) && one.length > 40)).toBe(true);
    expect(recorded.lines.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  test('does not warn when the config says what that error means', async () => {
    const server = await serve(() => ({ body: reviewWith({ error: 'bad token' }) }));
    const { authenticator, recorded } = await open(optionsFor(server, { onError: 'rejected' }));
    await authenticator.check?.(signal);
    expect(recorded.lines.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  test('warns when the webhook reports an error for a bad token', async () => {
    const server = await serve(() => ({ body: reviewWith({ error: 'bad token' }) }));
    const { authenticator, recorded } = await open(optionsFor(server));
    await authenticator.check?.(signal);
    expect(recorded.lines.filter(({ level }) => level === 'warn')).toEqual([
      expect.objectContaining({ message: expect.stringContaining('set onError') }),
    ]);
  });
});

test.each([
  { timeout: 2000, expected: ['2s, 2s'] },
  { timeout: 2001, expected: [] },
])('a limit that is not less than the $timeout ms of the gateway is warned of', async (row) => {
  const server = await serve();
  const recorded = recordingContext({ pluginName: 'webhook', baseDirectory: '/' });
  const authenticator = await createWebhookAuthenticator(
    settled(optionsFor(server, { timeout: '2s' })),
    { ...recorded.context, timeout: row.timeout },
  );
  onTestFinished(() => authenticator.close());
  const warnings = recorded.lines.filter(({ message }) => message.includes('Lower it, or raise'));
  expect(warnings.map(({ fields }) => Object.values(fields ?? {}).join(', '))).toEqual(
    row.expected,
  );
});

test('metrics count what the answers say', async () => {
  const server = await serve();
  const { metrics, values } = countingMetrics();
  const { context } = recordingContext({ pluginName: 'webhook', baseDirectory: '/' });
  const authenticator = await createWebhookAuthenticator(settled(optionsFor(server)), {
    ...context,
    metrics,
  });
  onTestFinished(() => authenticator.close());
  const replies = [
    { body: reviewWith({ authenticated: true, user }) },
    { body: reviewWith({}) },
    { status: 401 },
    { body: reviewWith({ error: 'x' }) },
    { status: 500 },
    { headers: { 'content-encoding': 'br' } },
  ];
  for (const reply of replies) {
    server.behave(() => reply);
    await Promise.resolve(
      authenticator.authenticate(token, { audiences: [], signal: new AbortController().signal }),
    ).catch(() => undefined);
  }
  expect(Object.fromEntries(values)).toEqual({
    'answers_total{answer=authenticated}': 1,
    'answers_total{answer=unauthenticated}': 1,
    'answers_total{answer=unauthorized}': 1,
    'answers_total{answer=error}': 1,
    'answers_total{answer=unusable}': 2,
    request_seconds: 6,
  });
});

test.each<{ recognizes: object; expected: string | undefined }>([
  { recognizes: { prefixes: ['a-'] }, expected: 'a-' },
  { recognizes: { prefixes: ['a-', 'b-'] }, expected: undefined },
  { recognizes: { prefixes: ['a-'], issuers: ['https://idp.example.com'] }, expected: undefined },
  { recognizes: { pattern: 'a-.*' }, expected: undefined },
])('the prefix of all tokens of $recognizes is $expected', async ({ recognizes, expected }) => {
  const server = await serve();
  const { authenticator } = await open(optionsFor(server, { recognizes }));
  expect(authenticator.tokenPrefix).toBe(expected);
});

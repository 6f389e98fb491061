import { AuthenticatorError } from '@sallyport/authenticator';
import { type FaultPlan, randomPlans, startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, onTestFinished, test } from 'vitest';
import { open } from './testing/open.ts';
import { type Behaviour, type ReviewServer, reviewWith, serve, user } from './testing/server.ts';
import { optionsFor, prefix } from './testing/written-options.ts';

const token = `${prefix}a-token`;
/** A long answer. */
const jane = { ...user, groups: ['x'.repeat(3000)] };
const yes: Behaviour = () => ({ body: reviewWith({ authenticated: true, user: jane }) });
const authenticated = { kind: 'authenticated', user: jane };

/** Puts the server behind a network with this fault on every connection. */
async function behind(server: ReviewServer, plan: () => FaultPlan, timeout = '30s') {
  const proxy = await startFaultProxy({ target: { host: '127.0.0.1', port: server.port }, plan });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const url = server.url.replace(`${server.port}`, `${proxy.port}`);
  return { proxy, ...(await open(optionsFor({ ...server, url }, { timeout }))) };
}

describe('a fault of the network', () => {
  const direction = 'to-client' as const;
  const faults: readonly FaultPlan[] = [
    ...[0, 100, 2000, 3500].flatMap((after): FaultPlan[] => [
      { kind: 'reset', direction, after },
      { kind: 'close', direction, after },
      { kind: 'stall', direction, after },
    ]),
    { kind: 'reset', direction: 'to-server', after: 10 },
    { kind: 'stall', direction: 'to-server', after: 10 },
    {
      kind: 'garbage',
      direction,
      after: 0,
      bytes: Buffer.from('HTTP/1.1 200 OK\r\n'),
      instead: true,
    },
  ];
  test.each(faults)(
    '$kind $direction after $after bytes is unavailable, and no refusal',
    async (plan) => {
      const { failure } = await behind(
        await serve(yes),
        () => plan,
        plan.kind === 'stall' ? '100ms' : '30s',
      );
      expect(await failure(token)).toMatchObject({ code: 'unavailable' });
    },
  );

  test.each<FaultPlan>([
    { kind: 'glue', time: 20 },
    { kind: 'delay', time: 10 },
  ])('$kind is none of the answer', async (plan) => {
    const { ask } = await behind(await serve(yes), () => plan);
    expect(await ask(token)).toEqual(authenticated);
  });

  test.each([200, 2000, 3100])(
    'an answer in clear text that is cut after %i bytes is unavailable',
    async (after) => {
      for (const kind of ['reset', 'close'] as const) {
        const { failure } = await behind(await serve(yes, { plain: true }), () => ({
          kind,
          direction,
          after,
        }));
        expect(await failure(token)).toMatchObject({ code: 'unavailable' });
      }
    },
  );
});

test('any fault of the network ends in the right user or in an error, and never in a refusal or in another user', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const server = await serve(({ review }) => {
    const username = review.spec.token.slice(prefix.length);
    return { body: reviewWith({ authenticated: true, user: { ...jane, username } }) };
  });
  const { ask, authenticator, proxy } = await behind(
    server,
    randomPlans({ seed, passing: 0.3, bytes: 4000, time: 20 }),
    '500ms',
  );
  const names = Array.from({ length: 150 }, (_, index) => `robot-${index}`);
  const outcomes: unknown[] = [];
  // A busy machine does not shake hands with all 150 within the timeout.
  while (outcomes.length < names.length) {
    const some = names.slice(outcomes.length, outcomes.length + 30).map((name) =>
      ask(prefix + name).then(
        (decision) => (decision.kind === 'authenticated' ? decision.user.username : decision.kind),
        (error: unknown) => AuthenticatorError.is(error) && error.code,
      ),
    );
    outcomes.push(...(await Promise.all(some)));
  }
  const wrong = outcomes.filter(
    (outcome, index) => outcome !== names[index] && outcome !== 'unavailable',
  );
  expect(wrong, `SEED=${seed}`).toEqual([]);
  expect(new Set(outcomes).size, `SEED=${seed}`).toBeGreaterThan(2);
  await authenticator.close();
  await proxy.untilClosed();
});

test.each([
  {
    how: 'in chunks',
    head: 'transfer-encoding: chunked\r\n\r\n1000\r\n',
    why: 'the answer is not whole',
  },
  { how: 'with a length', head: 'content-length: 9999\r\n\r\n', why: 'the answer is not whole' },
  {
    how: 'without a length',
    head: 'connection: close\r\n\r\n',
    why: 'its answer is not a JSON object, or is truncated: check the URL',
  },
])('an answer $how that is cut is unavailable', async ({ head, why }) => {
  const part = JSON.stringify(reviewWith({ authenticated: true, user: jane })).slice(0, 500);
  const server = await serve((_received, answer) => {
    answer.socket?.end(`HTTP/1.1 200 OK\r\n${head}${part}`);
    return undefined;
  });
  const { failure } = await open(optionsFor(server));
  expect(await failure(token)).toEqual({
    code: 'unavailable',
    message: `${server.url}/authenticate: ${why}`,
  });
});

test.each([
  { status: 200, effect: 'is bounded while it is read' },
  { status: 401, effect: 'delays nothing' },
])('an answer $status without an end $effect, and its connection is closed', async ({ status }) => {
  let isClosed = false;
  const server = await serve((_received, answer) => {
    answer.on('close', () => {
      isClosed = true;
    });
    answer.writeHead(status);
    const pour = () =>
      answer.write(Buffer.alloc(100_000, 32), (error) => error || setImmediate(pour));
    pour();
    return undefined;
  });
  const { ask, failure } = await open(
    optionsFor(server, { maxResponseSize: '1MiB', timeout: '30s' }),
  );
  if (status === 401) expect(await ask(token)).toEqual({ kind: 'no-opinion' });
  else {
    expect(await failure(token)).toEqual({
      code: 'failed',
      message: `${server.url}/authenticate: its answer is bigger than maxResponseSize (1048576 bytes)`,
    });
  }
  await waitFor(() => isClosed, 'the end of the answer');
});

test('an answer that changes the protocol is unavailable, and its connection is closed', async () => {
  const closed: boolean[] = [];
  const server = await serve((_received, answer) => {
    answer.socket?.on('close', () => closed.push(true));
    answer.socket?.write(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    );
    return undefined;
  });
  const { ask, failure } = await open(optionsFor(server, { maxConnections: 1, timeout: '30s' }));
  for (let time = 0; time < 3; time += 1) {
    expect(await failure(token)).toEqual({
      code: 'unavailable',
      message: `${server.url}/authenticate: it answers with the status 101`,
    });
  }
  await waitFor(() => closed.length === 3, 'the end of the connections');
  server.behave(yes);
  expect(await ask(token)).toEqual(authenticated);
});

test('an answer that is late is unavailable after the timeout', async () => {
  const server = await serve(() => undefined);
  const { failure } = await open(optionsFor(server, { timeout: '100ms' }));
  expect(await failure(token)).toEqual({
    code: 'unavailable',
    message: `${server.url}/authenticate: no answer within 100ms (timeout)`,
  });
});

test('no redirect is followed: the token goes to no other server', async () => {
  const other = await serve(yes);
  const server = await serve(yes);
  const { failure } = await open(optionsFor(server));
  for (const status of [301, 302, 303, 307, 308]) {
    server.behave(() => ({ status, headers: { location: `${other.url}/authenticate` } }));
    expect(await failure(token)).toEqual({
      code: 'unavailable',
      message: `${server.url}/authenticate: it answers with a redirect, which is not followed`,
    });
  }
  expect(other.connections).toBe(0);
});

test('a port where no one listens is unavailable', async () => {
  const server = await serve(yes);
  await server.stop();
  const { failure } = await open(optionsFor(server));
  expect(await failure(token)).toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('the connection was refused: is it running'),
  });
});

test('a port that speaks no TLS is unavailable, and the error says so', async () => {
  const server = await serve(yes, { plain: true });
  const url = server.url.replace('http:', 'https:');
  const { failure } = await open(optionsFor({ ...server, url }));
  expect(await failure(token)).toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining(
      'the server answers, but not in TLS: check the port in the URL',
    ),
  });
});

describe('connections', () => {
  test('are used again, also after a refusal, and never more than maxConnections', async () => {
    const server = await serve(yes);
    const { ask } = await open(optionsFor(server, { maxConnections: 3 }));
    const ten = () => Promise.all(Array.from({ length: 10 }, () => ask(token)));
    await ten();
    server.behave(() => ({ status: 401, body: 'x'.repeat(5000) }));
    await ten();
    server.behave(yes);
    expect(await ten()).toEqual(Array.from({ length: 10 }, () => authenticated));
    expect(server.connections).toBe(3);
    expect(server.received).toHaveLength(30);
  });

  /** Answers once on each connection, and cuts it at the second review, as if it had been closed while it was idle. */
  const onceEach = (): Behaviour => {
    const used = new WeakSet<object>();
    return (received, answer) => {
      const { socket } = answer;
      if (socket === null) return undefined;
      if (!used.has(socket)) {
        used.add(socket);
        return yes(received, answer);
      }
      socket.destroy();
      return undefined;
    };
  };

  test('that were closed while they were idle cost no review', async () => {
    const server = await serve(onceEach());
    const { ask, recorded } = await open(optionsFor(server, { maxConnections: 5 }));
    const five = () => Promise.all(Array.from({ length: 5 }, () => ask(token)));
    await five();
    expect(await five()).toEqual(Array.from({ length: 5 }, () => authenticated));
    // The other idle connections are closed, too, so they must not be used.
    expect(await ask(token)).toEqual(authenticated);
    expect(
      recorded.metrics.find(({ name }) => name.endsWith('repeats_total'))?.labels.length,
    ).toBeGreaterThan(0);
  });

  test('that are new are tried once', async () => {
    const server = await serve((_received, answer) => {
      answer.socket?.destroy();
      return undefined;
    });
    const { failure } = await open(optionsFor(server));
    expect(await failure(token)).toMatchObject({ code: 'unavailable' });
    expect(server.received).toHaveLength(1);
  });

  test('that break after the answer has begun are not tried again', async () => {
    const server = await serve(yes);
    const { ask, failure } = await open(optionsFor(server));
    await ask(token);
    server.behave((_received, answer) => {
      answer.writeHead(200, { 'content-length': 1000 });
      answer.write('{', () => answer.socket?.destroy());
      return undefined;
    });
    expect(await failure(token)).toMatchObject({ code: 'unavailable' });
    expect(server.received).toHaveLength(2);
  });
});

import { EventEmitter } from 'node:events';
import { constants } from 'node:http2';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createNetworks } from '../config/login.ts';
import type { ServerAnswer, ServerRequest } from '../http/http-server.ts';
import { createDoor, isCutOff, readAddress } from './door.ts';
import { toAnswer, tooMany } from './login-error.ts';
import type { AnsweredRequest } from './login-facts.ts';

/** The parts of an answer that the door uses. Over HTTP/2 it has a stream, which is the request as well. */
function createAnswer() {
  const answer = Object.assign(new EventEmitter(), {
    destroyed: false,
    statusCode: 200,
    headers: {} as Record<string, string>,
    body: undefined as string | undefined,
    setHeader(name: string, value: string) {
      answer.headers[name] = value;
    },
    end(body?: string) {
      answer.body = body;
      answer.emit('close');
    },
  });
  return answer;
}

/** Node has no socket for a session that has ended: whatever is asked of it then throws. */
function createStream(remoteAddress: string) {
  const stream = Object.assign(new EventEmitter(), {
    closed: false,
    destroyed: false,
    close(code?: number) {
      stream.code = code;
      stream.closed = true;
      stream.destroyed = true;
      stream.emit('close');
    },
    code: undefined as number | undefined,
  });
  const socket = new Proxy({} as Record<string, unknown>, {
    get() {
      if (stream.closed) throw new Error('the session has been destroyed');
      return remoteAddress;
    },
  });
  return Object.assign(stream, { socket });
}

function createDoorWithClock(proxies: readonly string[] = []) {
  let now = 0;
  const letIn: unknown[] = [];
  const reports: AnsweredRequest[] = [];
  const door = createDoor((request) => letIn.push(request), {
    proxies: () => createNetworks(proxies),
    headers: () => ({ 'X-Content-Type-Options': 'nosniff' }),
    refusal: ({ headers }) =>
      headers.accept === 'text/html'
        ? { code: 429, body: '<h1>', headers: { 'Content-Security-Policy': 'page' } }
        : toAnswer(tooMany('', 1)),
    report: (facts) => reports.push(facts),
    discardTimeout: 1_000,
    now: () => now,
  });
  const come = (request: object, answer: object) =>
    door(request as ServerRequest, answer as ServerAnswer);
  return {
    letIn,
    reports,
    later: (milliseconds: number) => {
      now += milliseconds;
    },
    ask(remoteAddress: string, { method = 'POST', ...headers }: Record<string, string> = {}) {
      const answer = createAnswer();
      const socket = Object.assign(new EventEmitter(), {
        remoteAddress,
        destroyed: false,
        // It closes later, as Node's does.
        destroy() {
          socket.destroyed = true;
          setImmediate(close);
        },
      });
      const close = () => {
        answer.destroyed = true;
        socket.emit('close');
      };
      const pushed: (Buffer | null)[] = [];
      const push = (piece: Buffer | null) => pushed.push(piece) > 0;
      const request = {
        socket,
        method,
        headers,
        on: () => undefined,
        resume: () => undefined,
        push,
      };
      come(request, answer);
      return {
        request: request as unknown as ServerRequest,
        socket,
        answer,
        hangUp: close,
        pushed,
      };
    },
    askOverHttp2(remoteAddress: string, headers: Record<string, string> = {}) {
      const stream = createStream(remoteAddress);
      const request = Object.assign(stream, {
        session: { destroy: () => stream.close() },
        headers,
        resume: () => undefined,
        push: () => true,
      });
      const answer = Object.assign(createAnswer(), { stream });
      come(request, answer);
      return { request: request as unknown as ServerRequest, stream, answer };
    },
  };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}

test('64 requests of an address wait for their turn, further ones are answered 429 and reported', async () => {
  const { ask, letIn, reports } = createDoorWithClock();
  const all = Array.from({ length: 70 }, () => ask('192.0.2.1'));
  const refused = all.slice(64).map(({ answer }) => answer);
  for (const { statusCode, headers, body } of refused) {
    expect(statusCode).toBe(429);
    expect(headers).toMatchObject({ 'Retry-After': '1', 'X-Content-Type-Options': 'nosniff' });
    expect(JSON.parse(body ?? '')).toMatchObject({ code: 'too-many-requests' });
  }
  expect(ask('192.0.2.1', { method: 'HEAD' }).answer).toMatchObject({
    statusCode: 429,
    body: undefined,
  });
  const page = ask('192.0.2.1', { accept: 'text/html' }).answer;
  expect([page.body, page.headers]).toMatchObject([
    '<h1>',
    { 'Content-Security-Policy': 'page', 'Content-Type': 'text/html; charset=utf-8' },
  ]);
  reports.splice(-2);
  expect(reports).toMatchObject(
    Array(6).fill({ action: 'none', outcome: 'limited', address: '192.0.2.1' }),
  );
  const other = ask('192.0.2.2');
  await turns(3);
  expect(letIn).toContain(other.request);
  await turns(70);
  expect(letIn).toHaveLength(65);
});

test('after 64 answers of 429 within a second, further requests of an address end their connection', async () => {
  const { ask, askOverHttp2, later, reports } = createDoorWithClock();
  for (let count = 0; count < 128; count++) ask('192.0.2.1');
  const over = [ask('192.0.2.1'), askOverHttp2('192.0.2.1')] as const;
  expect(reports).toHaveLength(66);
  expect(over.map(({ answer }) => answer.body)).toEqual([undefined, undefined]);
  expect(over[0].socket.destroyed).toBe(true);
  await turns(1);
  expect(over[1].stream.destroyed).toBe(true);
  later(1_000);
  // A request that waited has had its turn.
  ask('192.0.2.1');
  expect(ask('192.0.2.1').answer).toMatchObject({ statusCode: 429, body: expect.any(String) });
});

test('after 256 answers of 429 within a second to any addresses, further requests that would get one end their connection', () => {
  const { ask, later } = createDoorWithClock();
  const addresses = Array.from({ length: 12 }, (_, index) => `192.0.2.${index}`);
  for (const address of addresses) for (let count = 0; count < 64; count++) ask(address);
  const all = Array.from({ length: 30 }, () => addresses.map((address) => ask(address))).flat();
  expect(all.filter(({ answer }) => answer.statusCode === 429)).toHaveLength(256);
  expect(all.slice(256).every(({ socket }) => socket.destroyed)).toBe(true);
  later(1_000);
  expect(ask('192.0.2.1').answer.statusCode).toBe(429);
});

test('the connection of a proxy is not ended for one of its clients', () => {
  const { ask } = createDoorWithClock(['10.0.0.0/8']);
  const all = Array.from({ length: 200 }, () =>
    ask('10.0.0.1', { 'x-forwarded-for': '192.0.2.1' }),
  );
  expect(all.some(({ socket }) => socket.destroyed)).toBe(false);
  expect(all.filter(({ answer }) => answer.statusCode === 429)).toHaveLength(136);
});

test.each(['HTTP/1.1', 'HTTP/2'])(
  'a body in more than 256 pieces ends its connection as they arrive, over %s',
  async (protocol) => {
    const { ask, askOverHttp2 } = createDoorWithClock();
    const asked = protocol === 'HTTP/2' ? askOverHttp2('192.0.2.1') : ask('192.0.2.1');
    const isEnded = () => ('stream' in asked ? asked.stream.destroyed : asked.socket.destroyed);
    const piece = Buffer.from('x');
    for (let count = 0; count < 256; count++) expect(asked.request.push(piece)).toBe(true);
    expect(isEnded()).toBe(false);
    for (let count = 0; count < 2; count++) expect(asked.request.push(piece)).toBe(false);
    await turns(1);
    expect(isEnded()).toBe(true);
  },
);

test('a piece of a body that waits is kept without what arrived with it', () => {
  const { ask } = createDoorWithClock();
  const { request, pushed } = ask('192.0.2.1');
  request.push(Buffer.alloc(16_384).subarray(0, 1));
  request.push(null);
  expect(pushed.map((piece) => piece?.buffer.byteLength)).toEqual([1, undefined]);
});

test('a request of a proxy is one of the address that it names', async () => {
  const { ask, letIn } = createDoorWithClock(['10.0.0.0/8']);
  for (let count = 0; count < 64; count++) ask('10.0.0.1', { 'x-forwarded-for': '192.0.2.1' });
  expect(ask('10.0.0.1', { 'x-forwarded-for': '192.0.2.1' }).answer.statusCode).toBe(429);
  const other = ask('10.0.0.1', { 'x-forwarded-for': '192.0.2.2' });
  await turns(3);
  expect(letIn).toContain(other.request);
  expect(readAddress(other.request)).toBe('192.0.2.2');
});

test('one that hung up before its turn is not let in, and another one may wait instead', async () => {
  const { ask, askOverHttp2, letIn, reports } = createDoorWithClock();
  const all = Array.from(
    { length: 32 },
    () => [ask('192.0.2.1'), askOverHttp2('192.0.2.1')] as const,
  );
  for (const [one, other] of all) {
    one.hangUp();
    other.stream.close();
  }
  const later = Array.from({ length: 64 }, () => ask('192.0.2.1').request);
  expect(reports).toEqual([]);
  await turns(70);
  expect(letIn).toEqual(later);
});

test('the address of one that hung up after its turn is known', async () => {
  const { askOverHttp2, letIn } = createDoorWithClock();
  const { request, stream } = askOverHttp2('192.0.2.1');
  await turns(2);
  expect(letIn).toEqual([request]);
  stream.close();
  expect(readAddress(request)).toBe('192.0.2.1');
});

test('beyond 1,000 in progress the oldest of the address with the most is cut off', async () => {
  const { ask, askOverHttp2, reports } = createDoorWithClock();
  const few = Array.from({ length: 60 }, () => ask('192.0.2.1'));
  await turns(70);
  const many = [];
  for (let count = 0; count < 470; count++) {
    many.push(ask('192.0.2.2'), askOverHttp2('192.0.2.2'));
    if (count % 30 === 29) await turns(70);
  }
  expect(reports).toEqual([]);
  // A request that has been answered, or whose connection has closed, is in progress no more.
  few[0]?.answer.end('');
  few[1]?.hangUp();
  for (let count = 0; count < 2; count++) ask('192.0.2.3');
  expect(many.map(({ request }) => isCutOff(request))).not.toContain(true);
  for (let count = 0; count < 2; count++) ask('192.0.2.3');
  const [overHttp1, overHttp2] = many;
  expect(overHttp1 && 'socket' in overHttp1 && overHttp1.socket.destroyed).toBe(true);
  await turns(1);
  // It ends with all that is on its session.
  expect(
    overHttp2 && 'stream' in overHttp2 && [overHttp2.stream.destroyed, overHttp2.stream.code],
  ).toEqual([true, undefined]);
  expect(many.filter(({ request }) => isCutOff(request))).toEqual([overHttp1, overHttp2]);
  expect(few.some(({ request }) => isCutOff(request))).toBe(false);
  // They were let in, so they are reported where they are answered.
  expect(reports).toEqual([]);
});

test('of requests that a proxy sends over one session, those beyond 1,000 are reset alone', async () => {
  const { askOverHttp2 } = createDoorWithClock(['10.0.0.0/8']);
  const all = Array.from({ length: 1_001 }, (_, index) => {
    return askOverHttp2('10.0.0.1', { 'x-forwarded-for': `192.0.${index >> 8}.${index & 255}` })
      .stream;
  });
  await turns(1);
  const codes = all.map(({ code }) => code);
  expect(codes).toEqual([constants.NGHTTP2_ENHANCE_YOUR_CALM, ...Array(1_000).fill(undefined)]);
  expect(all.filter(({ destroyed }) => destroyed)).toHaveLength(1);
});

test('of many addresses no more than 1,000 wait; those that are cut off get no turn and are reported', async () => {
  const { ask, letIn, reports } = createDoorWithClock();
  const all = Array.from({ length: 1_010 }, (_, index) => ask(`10.0.${index >> 8}.${index & 255}`));
  expect(reports).toMatchObject(Array(10).fill({ action: 'none', outcome: 'limited' }));
  expect(all.map(({ socket }) => socket.destroyed)).toEqual(all.map((_, index) => index < 10));
  await turns(1_100);
  expect(letIn).toEqual(all.slice(10).map(({ request }) => request));
});

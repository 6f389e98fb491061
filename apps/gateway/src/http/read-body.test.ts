import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import Koa, { type Context } from 'koa';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { openRaw, randomToken, rawPost, review, send } from '../testing/clients.ts';
import type { StatusError } from './kubernetes-status.ts';
import { createArrivingBodies, createBodyReader, withoutRest } from './read-body.ts';
import { usedHeap } from './testing/used-heap.ts';

/** Creates a server of one middleware. */
async function serve(answer: (context: Context) => Promise<void>): Promise<number> {
  const app = new Koa();
  app.silent = true;
  app.use(answer);
  const server = createServer(app.callback()).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('the body is returned, and the request keeps neither its text nor its content', async () => {
  const readBody = createBodyReader(() => 1000, 1000);
  const token = randomToken();
  const seen: { body?: unknown; context?: Context } = {};
  const port = await serve(async (context) => {
    seen.body = await readBody(context);
    seen.context = context;
    context.status = 204;
  });
  await send(`http://127.0.0.1:${port}`, { body: review({ token }) });
  expect(seen.body).toMatchObject({ spec: { token } });
  expect(seen.context?.request.rawBody).toBeUndefined();
  expect(seen.context?.request.body).toBeUndefined();
});

test.each([
  { what: 'takes too long', code: 408, timeout: 20, count: 10 },
  { what: 'is the oldest of too many', code: 429, timeout: 60_000, count: 1 },
])(
  'a body that $what is refused, and nothing of it is kept or read',
  async ({ code, timeout, count }) => {
    const readBody = createBodyReader(() => 1000, timeout, { count, bytes: 10_000 });
    const refused: { error: StatusError; listeners: number }[] = [];
    const port = await serve(async (context) => {
      const { req } = context;
      await readBody(context).catch((error) =>
        refused.push({ error, listeners: req.listenerCount('data') }),
      );
    });
    const half = rawPost('{"', ['Content-Length: 100']);
    openRaw(port).socket.write(half);
    if (code === 429) openRaw(port).socket.write(half);
    await expect.poll(() => refused).toHaveLength(1);
    expect(refused).toMatchObject([{ error: { code }, listeners: 0 }]);
  },
);

test('a piece of a body keeps at most twice its length in memory', () => {
  const arrived = Buffer.from(new Uint8Array(16_384).fill(97).buffer);
  for (const length of [0, 1, 100, 8_191, 8_192, 16_384]) {
    const piece = withoutRest(arrived.subarray(100, 100 + length));
    expect(piece.equals(arrived.subarray(100, 100 + length))).toBe(true);
    expect(piece.buffer.byteLength).toBeLessThanOrEqual(2 * length);
  }
});

test('pieces of a body that arrive with much else are kept without it', async () => {
  const concat = vi.spyOn(Buffer, 'concat');
  onTestFinished(() => concat.mockRestore());
  const readBody = createBodyReader(() => 1000, 1000);
  const req = Object.assign(new EventEmitter(), {
    headers: { 'content-type': 'application/json' },
  });
  const reading = readBody({ req, request: { type: 'application/json' } } as unknown as Context);
  const arrived = Buffer.from(new Uint8Array(16_384).fill(32).buffer);
  for (const at of [0, 1, 2]) req.emit('data', arrived.subarray(at, at + 1));
  req.emit('data', Buffer.from('{}'));
  req.emit('end');
  expect(await reading).toEqual({});
  const kept = concat.mock.calls.flatMap(([pieces]) => pieces).filter(({ length }) => length === 1);
  expect(kept.map(({ buffer }) => buffer.byteLength)).toEqual([1, 1, 1]);
});

describe('bodies that are arriving', () => {
  function start(count: number, bytes: number) {
    const beginBody = createArrivingBodies({ count, bytes }, 60_000);
    const refused: string[] = [];
    return { refused, begin: (name: string) => beginBody(() => refused.push(name)) };
  }

  test('beyond the number of bodies the oldest is refused', () => {
    const { begin, refused } = start(2, 1000);
    const [first] = [begin('a'), begin('b')];
    expect(refused).toEqual([]);
    begin('c');
    expect(refused).toEqual(['a']);
    // The bytes of it that arrive later are not counted.
    first.add(5000);
    first.end();
    begin('d');
    expect(refused).toEqual(['a', 'b']);
  });

  test('beyond the bytes the oldest are refused, until the others fit', () => {
    const { begin, refused } = start(100, 1000);
    const [a, b, c] = [begin('a'), begin('b'), begin('c')];
    b.add(400);
    c.add(600);
    expect(refused).toEqual([]);
    a.add(1);
    expect(refused).toEqual(['a']);
    c.add(400);
    expect(refused).toEqual(['a', 'b']);
  });

  test('a body that has arrived no longer counts', () => {
    const { begin, refused } = start(1, 1000);
    for (const name of ['a', 'b', 'c']) {
      const body = begin(name);
      body.add(1000);
      body.end();
      body.end();
    }
    expect(refused).toEqual([]);
  });

  test('each body has its own time, though one timer is for all', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const beginBody = createArrivingBodies({ count: 100, bytes: 1000 }, 100);
    const refused: string[] = [];
    const begin = (name: string) => beginBody(({ code }) => refused.push(`${name} ${code}`));
    begin('a');
    vi.advanceTimersByTime(60);
    const [b] = [begin('b'), begin('c')];
    vi.advanceTimersByTime(40);
    expect(refused).toEqual(['a 408']);
    b.end();
    vi.advanceTimersByTime(59);
    expect(refused).toEqual(['a 408']);
    vi.advanceTimersByTime(1);
    expect(refused).toEqual(['a 408', 'c 408']);
    // The timer begins again after a time without bodies.
    vi.advanceTimersByTime(1000);
    begin('d');
    vi.advanceTimersByTime(100);
    expect(refused).toEqual(['a 408', 'c 408', 'd 408']);
  });

  test('what a body refers to is freed without a full collection, once it has arrived', () => {
    const beginBody = createArrivingBodies({ count: 1000, bytes: 1000 }, 60_000);
    const inProgress = [beginBody(() => undefined)];
    const before = usedHeap('major');
    for (let count = 0; count < 2_000; count++) {
      const review = new Array(2_000).fill(count);
      inProgress.push(beginBody(() => review.pop()));
      if (inProgress.length > 64) inProgress.shift()?.end();
    }
    const grown = usedHeap('minor') - before;
    // All of them are 31 MiB, and those in progress 1.
    expect(grown / 2 ** 20).toBeLessThan(10);
  });

  test('in any order, no more is counted than the limits, and each body is refused at most once', () => {
    const step = fc.record({
      body: fc.nat(9),
      bytes: fc.integer({ min: 0, max: 40 }),
      ends: fc.boolean(),
    });
    const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const counted = new Map<number, number>();
      const beginBody = createArrivingBodies({ count: 4, bytes: 100 }, 60_000);
      const open = new Map<number, ReturnType<typeof beginBody>>();
      for (const { body, bytes, ends } of steps) {
        if (!open.has(body)) {
          counted.set(body, 0);
          open.set(
            body,
            beginBody(() => {
              expect(counted.delete(body)).toBe(true);
              open.delete(body);
            }),
          );
        }
        counted.set(body, (counted.get(body) ?? 0) + bytes);
        open.get(body)?.add(bytes);
        if (ends && open.has(body)) {
          open.get(body)?.end();
          open.delete(body);
          counted.delete(body);
        }
        expect(counted.size).toBeLessThanOrEqual(4);
        expect([...counted.values()].reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(100);
      }
    });
    fc.assert(property);
  });
});

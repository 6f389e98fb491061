import { getEventListeners, once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { bounded, pause, within } from './deadlines.ts';

const never = () => new Promise<never>(() => {});

describe('bounded', () => {
  test('gives what settles it first, ends once, and leaves no listener', async () => {
    const { signal } = new AbortController();
    const onEnd = vi.fn();
    const value = bounded<number>(
      { signal, limit: 1e9 },
      (resolve, reject) => {
        resolve(1);
        reject(new Error('too late'));
      },
      onEnd,
    );
    expect(onEnd).toHaveBeenCalledOnce();
    expect(await value).toBe(1);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test.each<{ what: string; act: (reject: (error: Error) => void) => void }>([
    { what: 'the deadline', act: () => {} },
    { what: 'a rejection', act: (reject) => reject(new Error('failed')) },
    {
      what: 'a throw',
      act: () => {
        throw new Error('failed');
      },
    },
  ])('calls onEnd once at $what, and leaves no listener', async ({ what, act }) => {
    const { signal } = new AbortController();
    const onEnd = vi.fn();
    const bounds = {
      signal,
      limit: what === 'the deadline' ? 1 : 1e9,
      late: () => new Error('late'),
    };
    const value = bounded<never>(bounds, (_resolve, reject) => act(reject), onEnd);
    await expect(value).rejects.toThrow(what === 'the deadline' ? 'late' : 'failed');
    expect(onEnd).toHaveBeenCalledOnce();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test('calls onEnd in the same turn as the abort, so that nothing can settle it in between', async () => {
    const controller = new AbortController();
    let settle = (_: string) => {};
    const onEnd = vi.fn();
    const value = bounded<string>(
      { signal: controller.signal },
      (resolve) => (settle = resolve),
      onEnd,
    );
    controller.abort(new Error('gone'));
    expect(onEnd).toHaveBeenCalledOnce();
    settle('too late');
    await expect(value).rejects.toThrow('gone');
  });

  test('does not start when the signal is aborted already', async () => {
    const start = vi.fn();
    await expect(bounded({ signal: AbortSignal.abort(new Error('gone')) }, start)).rejects.toThrow(
      'gone',
    );
    expect(start).not.toHaveBeenCalled();
  });
});

describe('within', () => {
  test('throws what the bounds say', async () => {
    await expect(within({ limit: 1, late: () => new Error('late') }, never)).rejects.toThrow(
      'late',
    );
    const signal = AbortSignal.abort();
    await expect(within({ signal, aborted: () => new Error('ours') }, never)).rejects.toThrow(
      'ours',
    );
  });

  test('a deadline that has passed already is one', async () => {
    await expect(within({ limit: -5, late: () => new Error('late') }, never)).rejects.toThrow(
      'late',
    );
  });

  test('takes an answer that arrived while the process was blocked beyond the deadline', async () => {
    const [server, accepted] = [createServer(), Promise.withResolvers<Socket>()];
    server.on('connection', accepted.resolve);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    (await accepted.promise).write('answer');
    const late = vi.fn(() => new Error('late'));
    const answer = within({ limit: 5, late }, () => once(client, 'data'));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    expect(String(await answer)).toBe('answer');
    await new Promise(setImmediate);
    expect(late).not.toHaveBeenCalled();
    client.destroy();
    server.close();
  });

  test('ignores what comes of work that no one waits for any more', async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    await expect(
      within({ limit: 1, late: () => new Error('late') }, () => promise),
    ).rejects.toThrow('late');
    reject(new Error('too late'));
    await new Promise(setImmediate);
  });

  test('leaves no listener on a signal that many calls share', async () => {
    const { signal } = new AbortController();
    for (let count = 0; count < 100; count += 1) await within({ signal, limit: 1e9 }, () => count);
    await expect(
      within({ signal, limit: 1, late: () => new Error('late') }, never),
    ).rejects.toThrow('late');
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test('takes a synchronous throw for a rejection, and a plain value for a promise', async () => {
    const throws = () => {
      throw new Error('immediately');
    };
    await expect(within({}, throws)).rejects.toThrow('immediately');
    expect(await within({}, () => 1)).toBe(1);
  });
});

test('a pause ends by itself, and with the reason of an abort', async () => {
  await pause(1);
  const controller = new AbortController();
  const paused = pause(1e9, controller.signal);
  controller.abort(new Error('gone'));
  await expect(paused).rejects.toThrow('gone');
});

test('a deadline that is not reached, and a pause that is aborted, leave no timer', async () => {
  const [set, clear] = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'clearTimeout')];
  onTestFinished(() => void vi.restoreAllMocks());
  const controller = new AbortController();
  const paused = expect(pause(3_600_001, controller.signal)).rejects.toThrow();
  controller.abort();
  await paused;
  await within({ limit: 3_600_002 }, () => 1);
  for (const delay of [3_600_001, 3_600_002]) {
    const { value: timer } =
      set.mock.results[set.mock.calls.findIndex(([, ms]) => ms === delay)] ?? {};
    expect(timer).toBeDefined();
    expect(clear).toHaveBeenCalledWith(timer);
  }
});

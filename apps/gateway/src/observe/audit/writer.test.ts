import fs from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { AuditOutput } from './output.ts';
import { createLineWriter } from './writer.ts';

interface TestOutput extends AuditOutput {
  text: string;
  closed: boolean;
  writes: string[];
  limits: (number | string)[];
}

const outputs = new Map<number, TestOutput>();

/**
 * An output in memory. `limits` are the bytes that its next writes take, or the codes they fail with. The last one
 * stays.
 */
function createOutput(limits: (number | string)[] = [], endsTorn = false): TestOutput {
  const fd = 1_000 + outputs.size;
  const output: TestOutput = {
    fd,
    maxWrite: 20,
    endsTorn,
    identity: '',
    text: '',
    closed: false,
    writes: [],
    limits,
    close() {
      this.closed = true;
    },
  };
  outputs.set(fd, output);
  return output;
}

type Done = (error: Error | null, count?: number) => void;

/** The system calls that sonic-boom makes, on the outputs above. */
function injectOutputs(): void {
  vi.spyOn(fs, 'write').mockImplementation(((fd: number, bytes: Buffer, done: Done) => {
    setTimeout(() => {
      const output = outputs.get(fd);
      if (output === undefined || output.closed) return done(new Error('EBADF'));
      const { limits } = output;
      const isNext = limits.length > 1 || typeof limits[0] === 'number';
      const limit = (isNext ? limits.shift() : limits[0]) ?? bytes.length;
      if (typeof limit === 'string') return done(Object.assign(new Error(limit), { code: limit }));
      const taken = bytes.subarray(0, limit).toString();
      output.writes.push(bytes.toString());
      output.text += taken;
      done(null, Buffer.byteLength(taken));
    });
  }) as unknown as typeof fs.write);
  vi.spyOn(fs, 'fsync').mockImplementation(((_fd: number, done: Done) =>
    done(null)) as typeof fs.fsync);
  vi.spyOn(fs, 'close').mockImplementation(((fd: number, done: Done) => {
    outputs.get(fd)?.close();
    done(null);
  }) as typeof fs.close);
}

const onError = vi.fn();
const onEmpty = vi.fn();
let writer: ReturnType<typeof createLineWriter>;
beforeEach(() => {
  vi.useFakeTimers();
  vi.clearAllMocks();
  injectOutputs();
  writer = createLineWriter({ capacity: 100, onError, onEmpty });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  outputs.clear();
});

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `line ${from + at}\n`);
const offer = (from: number, to: number) => lines(from, to).map((line) => writer.offer(line));
/** Waits for writes in progress, but for no delay. */
const settle = () => vi.advanceTimersByTimeAsync(5);

test('writes lines in their order, whole ones together, however few bytes are taken at a time', async () => {
  const output = createOutput([3, 'EAGAIN', 5, 1, 'EAGAIN', 2]);
  writer.use(output);
  expect(offer(10, 20)).not.toContain(false);
  await vi.advanceTimersByTimeAsync(50);
  expect(output.text).toBe(lines(10, 20).join(''));
  expect(Math.max(...output.writes.map(({ length }) => length))).toBe(16);
  expect(onError).not.toHaveBeenCalled();
  expect(await writer.end(0)).toBe(0);
});

test('refuses lines beyond its capacity, in bytes, and takes more once some are written', async () => {
  const output = createOutput(['ENOSPC']);
  writer.use(output);
  expect(offer(10, 22)).toEqual(Array(12).fill(true));
  // 96 of 100 bytes wait.
  expect([writer.offer('éé\n'), writer.offer('né\n'), writer.offer('')]).toEqual([
    false,
    true,
    true,
  ]);
  await vi.advanceTimersByTimeAsync(3_500);
  expect(onError.mock.calls.length).toBeGreaterThan(2);
  expect(output.text).toBe('');
  output.limits.splice(0, 1, 8, 'ENOSPC');
  await vi.advanceTimersByTimeAsync(1_000);
  expect([writer.offer('line 22\n'), writer.offer('x')]).toEqual([true, false]);
  const ended = writer.end(100);
  await vi.advanceTimersByTimeAsync(100);
  expect(await ended).toBeGreaterThan(12);
});

test('a line that does not fit in one write is written in parts, and no other line gets between them', async () => {
  const output = createOutput([20, 'EAGAIN', 20, 'EAGAIN', 9]);
  writer.use(output);
  const long = `${'long'.repeat(13)}\n`;
  for (const line of ['a\n', long, 'b\n']) expect(writer.offer(line)).toBe(true);
  await vi.advanceTimersByTimeAsync(100);
  expect(output.text).toBe(`a\n${long}b\n`);
});

test('goes on where it stopped once a full disk has space', async () => {
  const output = createOutput([8, 1, 'ENOSPC', 'ENOSPC', 4]);
  writer.use(output);
  offer(10, 14);
  await settle();
  expect(output.text).toBe('line 10\nl');
  expect(onEmpty).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(2_100);
  expect(output.text).toBe(lines(10, 14).join(''));
  expect(onError.mock.calls).toMatchObject([[{ code: 'ENOSPC' }], [{ code: 'ENOSPC' }]]);
  expect(onEmpty).toHaveBeenCalledOnce();
});

test('ends a line before it goes to another output, and loses none', async () => {
  const [old, next] = [createOutput([8, 2, 'EAGAIN', 'EAGAIN', 3]), createOutput()];
  writer.use(old);
  offer(10, 15);
  await settle();
  expect(old.text).toBe('line 10\nli');
  writer.use(next);
  await vi.advanceTimersByTimeAsync(50);
  offer(15, 17);
  await settle();
  expect(old.text + next.text).toBe(lines(10, 17).join(''));
  expect(old.text).toMatch(/^line 10\nli.*\n$/s);
  expect(next.text).toMatch(/line 14\n/);
  expect([old.closed, next.closed]).toEqual([true, false]);
});

test.each([
  { what: 'is full', code: 'ENOSPC', limit: 10 },
  { what: 'takes no more for a second', code: 'EAGAIN', limit: 1_100 },
])(
  'where the old output $what, the new one gets all lines that are not whole there',
  async ({ code, limit }) => {
    const [old, next] = [createOutput([8, 2, code]), createOutput([], true)];
    writer.use(old);
    offer(10, 15);
    await settle();
    writer.use(next);
    await vi.advanceTimersByTimeAsync(limit);
    expect(old.text).toBe('line 10\nli');
    expect(next.text).toBe(`\n${lines(11, 15).join('')}`);
    expect(old.closed).toBe(true);
  },
);

test('ends the torn line that a process before it left, once, before its own first line', async () => {
  const output = createOutput([], true);
  writer.use(output);
  offer(10, 12);
  await settle();
  expect(output.text).toBe(`\n${lines(10, 12).join('')}`);
});

test('the end of a torn line does not go to another output', async () => {
  const next = createOutput();
  writer.use(createOutput(['ENOSPC'], true));
  offer(10, 12);
  await settle();
  writer.use(next);
  await settle();
  expect(next.text).toBe(lines(10, 12).join(''));
});

test('what waits at an end is given up: it goes to no later output, and onEmpty is not called for it', async () => {
  const old = createOutput([8, 2, 'ENOSPC']);
  writer.use(old);
  offer(10, 15);
  await settle();
  const ended = writer.end(0);
  await settle();
  expect(await ended).toBe(4);
  const later = createOutput();
  writer.use(later);
  writer.offer('line\n');
  await vi.advanceTimersByTimeAsync(2_000);
  expect(later.text).toBe('line\n');
  expect(onEmpty).toHaveBeenCalledOnce();
  expect([old.text, old.closed, onError.mock.calls.length]).toEqual(['line 10\nli', true, 2]);
});

test('closes an output that another one has superseded before it was used', async () => {
  const [first, second] = [createOutput(), createOutput()];
  writer.use(createOutput(['EAGAIN']));
  writer.offer('line\n');
  await settle();
  writer.use(first);
  writer.use(second);
  await vi.advanceTimersByTimeAsync(1_500);
  expect([first.closed, first.text, second.text]).toEqual([true, '', 'line\n']);
});

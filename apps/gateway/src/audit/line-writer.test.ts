import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLineWriter, type LineWriter } from './line-writer.ts';
import type { AuditOutput } from './output.ts';

/** An output in memory. `limits`: so many bytes its next writes take, or the code they fail with, the last one for ever. */
function createOutput(
  limits: (number | string)[] = [],
  endsTorn = false,
): AuditOutput & { text: string; closed: boolean } {
  return {
    text: '',
    closed: false,
    most: 20,
    endsTorn,
    identity: '',
    async write(bytes) {
      expect(this.closed).toBe(false);
      const isNext = limits.length > 1 || typeof limits[0] === 'number';
      const limit = (isNext ? limits.shift() : limits[0]) ?? bytes.length;
      if (typeof limit === 'string') throw Object.assign(new Error(limit), { code: limit });
      const taken = Buffer.from(bytes).subarray(0, limit);
      this.text += taken.toString();
      return taken.length;
    },
    async close() {
      this.closed = true;
    },
  };
}

const onFault = vi.fn();
const onEmpty = vi.fn();
let writer: LineWriter;
beforeEach(() => {
  vi.useFakeTimers();
  vi.clearAllMocks();
  writer = createLineWriter({ room: 100, onFault, onEmpty });
});
afterEach(() => void vi.useRealTimers());

const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => `line ${from + at}\n`);

test('writes lines in their order, whole ones at once, however little is taken at a time', async () => {
  const output = createOutput([3, 'EAGAIN', 5, 1, 'EAGAIN', 2]);
  writer.use(output);
  for (const line of lines(10, 20)) expect(writer.offer(line)).toBe(true);
  await vi.advanceTimersByTimeAsync(30);
  expect(output.text).toBe(lines(10, 20).join(''));
  expect(onFault).not.toHaveBeenCalled();
  expect(await writer.flush(0)).toBe(0);
});

test('keeps as much as there is room for, and takes more once some is written', async () => {
  const output = createOutput(['ENOSPC']);
  writer.use(output);
  await vi.advanceTimersByTimeAsync(0);
  const taken = lines(10, 99).map((line) => writer.offer(line));
  // What is being written is no longer in the queue.
  const count = taken.filter(Boolean).length;
  expect(count).toBeGreaterThanOrEqual(12);
  expect(count).toBeLessThanOrEqual(15);
  expect(taken.slice(0, count)).not.toContain(false);
  await vi.advanceTimersByTimeAsync(3_500);
  expect(onFault.mock.calls.length).toBeGreaterThan(2);
  expect(output.text).toBe('');
  const flushed = writer.flush(100);
  await vi.advanceTimersByTimeAsync(100);
  expect(await flushed).toBe(count);
});

test('goes on where it stopped once a full disk has room', async () => {
  const output = createOutput([9, 'ENOSPC', 'ENOSPC', 4]);
  writer.use(output);
  for (const line of lines(10, 14)) writer.offer(line);
  await vi.advanceTimersByTimeAsync(0);
  expect(output.text).toBe('line 10\nl');
  expect(onEmpty).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(output.text).toBe(lines(10, 14).join(''));
  expect(onFault.mock.calls).toMatchObject([[{ code: 'ENOSPC' }], [{ code: 'ENOSPC' }]]);
  expect(onEmpty).toHaveBeenCalledOnce();
});

test('ends a line before it goes to another output, and loses none', async () => {
  const [old, next] = [createOutput([10, 'EAGAIN', 3]), createOutput()];
  writer.use(old);
  for (const line of lines(10, 15)) writer.offer(line);
  await vi.advanceTimersByTimeAsync(0);
  expect(old.text).toBe('line 10\nli');
  writer.use(next);
  await vi.advanceTimersByTimeAsync(50);
  expect(old.text + next.text).toBe(lines(10, 15).join(''));
  expect(old.text).toMatch(/\n$/);
  expect(next.text).not.toBe('');
  expect(old.closed).toBe(true);
});

test.each([
  ['is full', 'ENOSPC', 10],
  ['takes no more for a second', 'EAGAIN', 1_100],
])('leaves a line torn where the old output %s, and writes it whole in the next', async (_what, code, patience) => {
  const [old, next] = [createOutput([10, code]), createOutput([], true)];
  writer.use(old);
  for (const line of lines(10, 15)) writer.offer(line);
  await vi.advanceTimersByTimeAsync(0);
  writer.use(next);
  await vi.advanceTimersByTimeAsync(patience);
  expect(old.text).toBe('line 10\nli');
  expect(next.text).toBe(`\n${lines(11, 15).join('')}`);
});

test('ends the torn line that a process before it left, once and at once', async () => {
  const output = createOutput([], true);
  writer.use(output);
  await vi.advanceTimersByTimeAsync(0);
  expect(output.text).toBe('\n');
  writer.offer('line\n');
  await vi.advanceTimersByTimeAsync(20);
  expect(output.text).toBe('\nline\n');
});

test('writes together what is offered in one go', async () => {
  const output = createOutput([2]);
  const write = vi.spyOn(output, 'write');
  writer.use(output);
  await vi.advanceTimersByTimeAsync(0);
  for (const line of ['one\n', 'two\n']) writer.offer(line);
  await vi.advanceTimersByTimeAsync(0);
  expect(output.text).toBe('one\ntwo\n');
  expect(write.mock.calls.map(([bytes]) => Buffer.from(bytes).toString())).toEqual(['one\ntwo\n', 'e\ntwo\n']);
});

test('what waits at an end is given up: it goes to no later output, and nobody is told that all is written', async () => {
  writer.use(createOutput([10, 'ENOSPC']));
  for (const line of lines(10, 15)) writer.offer(line);
  await vi.advanceTimersByTimeAsync(0);
  writer.use(undefined);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(onEmpty).not.toHaveBeenCalled();
  const later = createOutput();
  writer.use(later);
  writer.offer('line\n');
  await vi.advanceTimersByTimeAsync(0);
  expect(later.text).toBe('line\n');
});

test('closes an output that another one overtook', async () => {
  const [first, second] = [createOutput(), createOutput()];
  writer.use(createOutput([1, 'EAGAIN']));
  writer.offer('line\n');
  await vi.advanceTimersByTimeAsync(0);
  writer.use(first);
  writer.use(second);
  await vi.advanceTimersByTimeAsync(1_500);
  expect([first.closed, first.text, second.text]).toEqual([true, '', 'line\n']);
});

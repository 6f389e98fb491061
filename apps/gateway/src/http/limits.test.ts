import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createLog } from '../testing/server.ts';
import { connectionsWithin, createInFlightCounter, openFileLimit } from './limits.ts';

async function limits(line: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-limits-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'limits');
  await writeFile(
    file,
    `Limit   Soft Limit   Hard Limit   Units\nMax processes   5   5   processes\n${line}\n`,
  );
  return file;
}

describe('the limit of open files', () => {
  test('is the soft one', async () => {
    expect(
      await openFileLimit(
        await limits('Max open files            1024                 4096       files'),
      ),
    ).toBe(1024);
  });

  test.each([
    'Max open files  unlimited  unlimited  files',
    'Max locked memory  8388608  8388608  bytes',
  ])('is infinite after %j', async (line) => {
    expect(await openFileLimit(await limits(line))).toBe(Number.POSITIVE_INFINITY);
  });

  test('is infinite if the system does not say', async () => {
    expect(await openFileLimit('/nowhere/limits')).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('connections', () => {
  test.each([
    { openFiles: Number.POSITIVE_INFINITY, maxConnections: 1024, maxNewConnections: 512 },
    { openFiles: 2048, maxConnections: 1024, maxNewConnections: 512 },
    { openFiles: 2047, maxConnections: 1023, maxNewConnections: 511 },
    { openFiles: 1024, maxConnections: 512, maxNewConnections: 256 },
    { openFiles: 256, maxConnections: 128, maxNewConnections: 64 },
  ])(
    'take at most half of $openFiles open files',
    ({ openFiles, maxConnections, maxNewConnections }) => {
      const { lines, logger } = createLog();
      expect(connectionsWithin(openFiles, logger)).toEqual({ maxConnections, maxNewConnections });
      expect(lines.map(({ level }) => level)).toEqual(openFiles < 2048 ? ['warn'] : []);
    },
  );
});

describe('the count of reviews in flight', () => {
  test('allows reviews up to the limit, and another one when one has ended', () => {
    const inFlight = createInFlightCounter();
    const leave = inFlight.enter(2);
    inFlight.enter(2);
    expect(inFlight.enter(2)).toBeUndefined();
    leave?.();
    expect(inFlight.enter(2)).toBeTypeOf('function');
    expect(inFlight.count).toBe(2);
  });

  test('ending a review twice ends one', () => {
    const inFlight = createInFlightCounter();
    inFlight.enter(5);
    const leave = inFlight.enter(5);
    leave?.();
    leave?.();
    expect(inFlight.count).toBe(1);
  });

  test('work that no one waits for counts until it settles, either way', async () => {
    const inFlight = createInFlightCounter();
    const good = Promise.withResolvers<void>();
    const bad = Promise.withResolvers<void>();
    inFlight.hold(good.promise);
    inFlight.hold(bad.promise);
    expect(inFlight.count).toBe(2);
    expect(inFlight.enter(2)).toBeUndefined();
    good.resolve();
    await good.promise;
    expect(inFlight.count).toBe(1);
    bad.reject(new Error('gone'));
    await Promise.allSettled([bad.promise]);
    expect(inFlight.count).toBe(0);
  });
});

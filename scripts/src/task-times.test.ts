import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeTaskTimes } from './task-times.ts';

test('describeTaskTimes lists the tasks that ran by their end, and none that was cached or never started', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'task-times-'));
  const file = join(folder, 'summary.json');
  const start = 1_000_000;
  const task = (taskId: string, from: number, to: number, status = 'MISS') => ({
    taskId,
    execution: { startTime: start + from, endTime: start + to, exitCode: 0 },
    cache: { status },
  });
  const tasks = [
    task('a#test', 12_040, 254_000),
    task('b#build', 100, 12_000),
    task('c#test', 0, 5, 'HIT'),
    { taskId: 'd#transit', cache: { status: 'MISS' } },
  ];
  await writeFile(file, JSON.stringify({ execution: { startTime: start }, tasks }));
  expect(describeTaskTimes(file)).toEqual([
    '   0.1 s to   12.0 s  b#build',
    '  12.0 s to  254.0 s  a#test',
  ]);
  await rm(folder, { recursive: true });
});

import { expect, test } from 'vitest';
import type { TestModule, TestSpecification } from 'vitest/node';
import { reportProgress } from './progress.ts';

/** A file with one test of each of these states. */
function fileWith(...states: readonly string[]): TestModule {
  const tests = states.map((state) => ({ result: () => ({ state }) }));
  return { children: { allTests: () => tests } } as unknown as TestModule;
}

test('a line every 15 s counts the files and the tests until then', async () => {
  const lines: string[] = [];
  let now = 1_000;
  const reporter = reportProgress(
    (line) => lines.push(line),
    () => now,
  );
  await reporter.onTestRunStart?.(Array.from({ length: 4 }) as TestSpecification[]);
  now += 14_999;
  await reporter.onTestModuleEnd?.(fileWith('passed', 'passed'));
  expect(lines).toEqual([]);
  now += 1;
  await reporter.onTestModuleEnd?.(fileWith('passed', 'failed', 'skipped'));
  now += 14_999;
  await reporter.onTestModuleEnd?.(fileWith('passed'));
  now += 1;
  await reporter.onTestModuleEnd?.(fileWith('passed'));
  expect(lines).toEqual(['2 of 4 files: 3 passed, 1 failed', '4 of 4 files: 5 passed, 1 failed']);
});

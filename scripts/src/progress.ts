import type { Reporter } from 'vitest/node';

/** Milliseconds between two lines of a package. */
const interval = 15_000;

/** Reports every 15 s how far the tests of one package are. Another reporter prints the summary at the end. */
export function reportProgress(
  write: (line: string) => void = console.log,
  now: () => number = Date.now,
): Reporter {
  const tests = { passed: 0, failed: 0, skipped: 0, pending: 0 };
  let files = 0;
  let ended = 0;
  let lastLine = 0;
  return {
    onTestRunStart(specifications) {
      files = specifications.length;
      lastLine = now();
    },
    onTestModuleEnd(module) {
      ended += 1;
      for (const test of module.children.allTests()) tests[test.result().state] += 1;
      if (now() - lastLine < interval) return;
      lastLine = now();
      write(`${ended} of ${files} files: ${tests.passed} passed, ${tests.failed} failed`);
    },
  };
}

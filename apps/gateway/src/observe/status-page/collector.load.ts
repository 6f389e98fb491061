import { expect, test } from 'vitest';
import type { GatewayConfig } from '../../config/types.ts';
import { createStatusCollector, type StatusSources } from './collector.ts';
import { reviewReport } from './testing/report.ts';

test('recording a review with 4 answers costs a few microseconds', () => {
  const names = ['corp', 'robots', 'break-glass', 'partners'];
  const authenticators = names.map((name) => ({ name }));
  const clocks = { monotonic: () => 123_456, wall: () => 1_700_000_000_000 };
  const collector = createStatusCollector(
    { authenticators } as GatewayConfig,
    { clocks } as StatusSources,
  );
  const one = reviewReport();
  const four = reviewReport({
    answers: names.flatMap((authenticator) =>
      one.answers.map((each) => ({ ...each, authenticator })),
    ),
  });
  const rounds = 20_000;
  const times = Array.from({ length: 5 }, () => {
    const began = performance.now();
    for (let round = 0; round < rounds; round++) collector.record(four);
    return performance.now() - began;
  });
  const microseconds = (Math.min(...times) * 1000) / rounds;
  console.info(`review with 4 answers: ${microseconds.toFixed(2)} µs for the status page`);
  expect(microseconds).toBeLessThan(100);
});

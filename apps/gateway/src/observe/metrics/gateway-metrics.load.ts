import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { AuthenticatorConfig } from '../../config/types.ts';
import type { ReviewReport } from '../../review/review-report.ts';
import { durationBuckets } from './families.ts';
import { createGatewayMetrics } from './gateway-metrics.ts';
import { createPluginMetrics, renderMetrics } from './plugin-metrics.ts';
import { answer, failure, sampleDecisions } from './testing/answers.ts';

function create(names: readonly string[]) {
  const metrics = createGatewayMetrics({ links: [] }, { count: 0 }, { count: 0 });
  metrics.follow({ authenticators: names.map((name) => ({ name }) as AuthenticatorConfig) });
  return metrics;
}

function report(answers: ReviewReport['answers']): ReviewReport {
  const fixed = {
    at: 0,
    seconds: 0.001,
    version: 'v1',
    outcome: 'rejected',
    callerGone: false,
  } as const;
  return {
    ...fixed,
    end: { kind: 'rejected', reason: 'expired' },
    answers,
    id: 'review',
    token: 'token',
  };
}

/** The milliseconds of each work: the fastest of many rounds, since other work of the machine only adds to them. */
async function fastest(...works: (() => unknown)[]): Promise<number[]> {
  const times = works.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < 15; round++) {
    for (const [index, work] of works.entries()) {
      const begun = performance.now();
      await work();
      times[index] = Math.min(times[index] ?? 0, performance.now() - begun);
    }
  }
  return times;
}

test('a review costs at most five times the cheapest counts of the same number', async () => {
  const metrics = create(['corp', 'robots']);
  const answers = [failure('robots'), ...sampleDecisions.map((one) => answer('corp', one))];
  const counted = report(answers);
  const settings = {
    help: 'Nothing but counts.',
    labelNames: ['one'],
    registers: [new Registry()],
  };
  const bare = new Counter({ name: 'bare_total', ...settings });
  const timed = new Histogram({ name: 'bare_seconds', buckets: [...durationBuckets], ...settings });
  const label = { one: 'one' };
  const times = 500;
  const [own = 0, bareTime = 0] = await fastest(
    () => {
      for (let time = 0; time < times; time++) metrics.onReview(counted);
    },
    () => {
      for (let time = 0; time < times * (answers.length + 1); time++) {
        bare.inc(label);
        timed.observe(label, 0.001);
      }
    },
  );
  const microseconds = (milliseconds: number) => `${((milliseconds * 1000) / times).toFixed(2)} µs`;
  console.info(
    `a review with ${answers.length} answers: ${microseconds(own)} to count; bare ${microseconds(bareTime)}`,
  );
  expect(own).toBeLessThan(5 * bareTime);
});

test('a scrape with 20 authenticators costs at most five times the cheapest series of the same number', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `authenticator-${index}`);
  const metrics = create(names);
  for (const name of names) {
    metrics.onReview(
      report([failure(name), ...sampleDecisions.map((decision) => answer(name, decision))]),
    );
  }
  const plugins = names.map((name) => {
    const plugin = createPluginMetrics('ldap', name);
    plugin.metrics.histogram({ name: 'bind_seconds', help: 'Times.' }).observe({}, 0.01);
    return plugin.registry;
  });
  const scrape = () => renderMetrics(metrics.registry, plugins);
  const text = await scrape();
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
  const registry = new Registry();
  const labelNames = ['one', 'other'];
  const gauge = new Gauge({
    name: 'plain',
    help: 'Nothing but series.',
    labelNames,
    registers: [registry],
  });
  for (let one = 0; one < series; one++) gauge.set({ one: String(one), other: 'error' }, one);
  const [ours = 0, bareTime = 0] = await fastest(scrape, () => registry.metrics());
  const size = `${series} series, ${Math.round(text.length / 1024)} KiB`;
  console.info(
    `a scrape with 20 authenticators: ${size}, ${ours.toFixed(1)} ms; bare series ${bareTime.toFixed(1)} ms`,
  );
  expect(ours).toBeLessThan(5 * bareTime);
});

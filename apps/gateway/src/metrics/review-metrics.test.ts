import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import { createReviewMetrics, type ReviewMetrics } from './review-metrics.ts';
import { seriesOf } from './testing/series.ts';

describe('reviews', () => {
  let registry: Registry;
  let metrics: ReviewMetrics;
  let inFlight: number;

  beforeEach(() => {
    registry = new Registry();
    inFlight = 0;
    metrics = createReviewMetrics(registry, () => inFlight);
  });

  test('are counted from 0 for each outcome that a version can have', async () => {
    const series = Object.entries(await seriesOf(registry)).filter(([name]) => name.includes('_total'));
    const read = ['v1', 'v1beta1'].flatMap((version) =>
      ['authenticated', 'rejected', 'unknown', 'error'].map((outcome) => [version, outcome]),
    );
    const unread = ['invalid', 'overloaded', 'error'].map((outcome) => ['none', outcome]);
    expect(Object.fromEntries(series)).toEqual(
      Object.fromEntries(
        [...read, ...unread].map(([version, outcome]) => [
          `sallyport_token_reviews_total{version="${version}",outcome="${outcome}"}`,
          0,
        ]),
      ),
    );
  });

  test('are counted by version and outcome, and timed by outcome', async () => {
    metrics.record({ version: 'v1', outcome: 'authenticated', seconds: 0.00004 });
    metrics.record({ version: 'v1', outcome: 'authenticated', seconds: 3.001 });
    metrics.record({ version: 'v1beta1', outcome: 'authenticated', seconds: 2.999 });
    metrics.record({ version: undefined, outcome: 'overloaded', seconds: 0 });
    const series = await seriesOf(registry);
    expect(series['sallyport_token_reviews_total{version="v1",outcome="authenticated"}']).toBe(2);
    expect(series['sallyport_token_reviews_total{version="v1beta1",outcome="authenticated"}']).toBe(1);
    expect(series['sallyport_token_reviews_total{version="none",outcome="overloaded"}']).toBe(1);
    const within = (bound: string) =>
      series[`sallyport_token_review_duration_seconds_bucket{le="${bound}",outcome="authenticated"}`];
    expect([within('0.00005'), within('2'), within('3'), within('5'), within('+Inf')]).toEqual([1, 1, 2, 3, 3]);
    expect(series['sallyport_token_review_duration_seconds_count{outcome="authenticated"}']).toBe(3);
    expect(series['sallyport_token_review_duration_seconds_sum{outcome="authenticated"}']).toBeCloseTo(6.00004);
    expect(series['sallyport_token_review_duration_seconds_count{outcome="overloaded"}']).toBe(1);
  });

  test('in progress are read at each scrape', async () => {
    const inProgress = async () => (await seriesOf(registry)).sallyport_in_flight_token_reviews;
    expect(await inProgress()).toBe(0);
    inFlight = 7;
    expect(await inProgress()).toBe(7);
  });
});

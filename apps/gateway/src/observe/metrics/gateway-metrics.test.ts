import { randomBytes } from 'node:crypto';
import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import type { AuthenticatorConfig } from '../../config/types.ts';
import type { TlsMaterial } from '../../http/tls.ts';
import type { ReviewReport } from '../../review/review-report.ts';
import {
  createGatewayMetrics,
  createProcessMetrics,
  createReviewMetrics,
} from './gateway-metrics.ts';
import { answer, failure } from './testing/answers.ts';
import { seriesOf } from './testing/series.ts';

function create(names: readonly string[]) {
  const metrics = createGatewayMetrics({ links: [] }, { count: 0 }, { count: 0 });
  metrics.follow({ authenticators: names.map((name) => ({ name }) as AuthenticatorConfig) });
  return metrics;
}

/** Makes a review with random values in all that its caller may choose. */
function report(over: Partial<ReviewReport>): ReviewReport {
  const subject = randomBytes(8).toString('hex');
  const end = { kind: 'rejected', reason: 'expired', subject } as const;
  const fixed = {
    at: 0,
    seconds: 0.001,
    version: 'v1',
    outcome: 'rejected',
    callerGone: false,
  } as const;
  return {
    ...fixed,
    end,
    answers: [],
    id: subject,
    token: randomBytes(24).toString('base64url'),
    ...over,
  };
}

describe('the hook of the reviews', () => {
  test('counts a review, and each answer to it', async () => {
    const metrics = create(['corp', 'robots']);
    metrics.onReview(
      report({
        answers: [failure('robots'), answer('corp', { kind: 'rejected', reason: 'expired' })],
      }),
    );
    expect(await seriesOf(metrics.registry)).toMatchObject({
      'sallyport_token_reviews_total{version="v1",outcome="rejected"}': 1,
      'sallyport_authenticator_decisions_total{authenticator="robots",decision="error"}': 1,
      'sallyport_authenticator_decisions_total{authenticator="corp",decision="rejected"}': 1,
      'sallyport_authenticator_rejections_total{authenticator="corp",reason="expired"}': 1,
    });
  });

  test('makes no series of values that callers choose', async () => {
    const metrics = create(['corp']);
    const review = () =>
      metrics.onReview(
        report({
          answers: [
            answer('corp', {
              kind: 'rejected',
              reason: 'expired',
              subject: randomBytes(8).toString('hex'),
            }),
            answer('corp', {
              kind: 'authenticated',
              user: { username: randomBytes(8).toString('hex') },
            }),
          ],
        }),
      );
    review();
    const before = Object.keys(await seriesOf(metrics.registry));
    for (let reviews = 0; reviews < 100; reviews++) review();
    expect(Object.keys(await seriesOf(metrics.registry))).toEqual(before);
  });
});

test('build_info has the versions', async () => {
  const names = Object.entries(await seriesOf(create([]).registry)).filter(([name]) =>
    name.includes('build_info'),
  );
  const { node, openssl } = process.versions;
  expect(names).toEqual([
    [expect.stringMatching(/^sallyport_build_info\{version="\d+\.\d+\.\d+",/), 1],
  ]);
  expect(names[0]?.[0]).toContain(`node="${node}",openssl="${openssl}"`);
});

describe('reviews', () => {
  let registry: Registry;
  let metrics: ReturnType<typeof createReviewMetrics>;
  let inFlight: number;

  beforeEach(() => {
    registry = new Registry();
    inFlight = 0;
    metrics = createReviewMetrics(registry, () => inFlight);
  });

  test('are counted from 0 for each outcome that a version can have', async () => {
    const series = Object.entries(await seriesOf(registry)).filter(([name]) =>
      name.includes('_total'),
    );
    const read = ['v1', 'v1beta1'].flatMap((version) =>
      ['authenticated', 'rejected', 'unknown', 'error'].map((outcome) => [version, outcome]),
    );
    const withoutVersion = ['invalid', 'overloaded', 'error'].map((outcome) => ['none', outcome]);
    expect(Object.fromEntries(series)).toEqual(
      Object.fromEntries(
        [...read, ...withoutVersion].map(([version, outcome]) => [
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
    expect(series['sallyport_token_reviews_total{version="v1beta1",outcome="authenticated"}']).toBe(
      1,
    );
    expect(series['sallyport_token_reviews_total{version="none",outcome="overloaded"}']).toBe(1);
    const within = (bound: string) =>
      series[
        `sallyport_token_review_duration_seconds_bucket{le="${bound}",outcome="authenticated"}`
      ];
    expect([within('0.00005'), within('2'), within('3'), within('5'), within('+Inf')]).toEqual([
      1, 1, 2, 3, 3,
    ]);
    expect(series['sallyport_token_review_duration_seconds_count{outcome="authenticated"}']).toBe(
      3,
    );
    expect(
      series['sallyport_token_review_duration_seconds_sum{outcome="authenticated"}'],
    ).toBeCloseTo(6.00004);
    expect(series['sallyport_token_review_duration_seconds_count{outcome="overloaded"}']).toBe(1);
  });

  test('in progress are read at each scrape', async () => {
    const inProgress = async () => (await seriesOf(registry)).sallyport_in_flight_token_reviews;
    expect(await inProgress()).toBe(0);
    inFlight = 7;
    expect(await inProgress()).toBe(7);
  });
});

type Certificate = TlsMaterial['certificates'][number];

function ending(certificate: Certificate['certificate'], seconds: number): Certificate {
  const [notBefore, notAfter] = [new Date(0), new Date(seconds * 1000)];
  return { certificate, file: 'a.crt', subject: 'CN=a', notBefore, notAfter };
}

const expiryOf = (certificate: string) =>
  `sallyport_certificate_expiry_timestamp_seconds{certificate="${certificate}"}`;

/** Returns the series of one subject, since all metrics of the process are in one registry. */
async function seriesLike(
  subject: string,
  registry: Registry,
): Promise<Readonly<Record<string, number>>> {
  const all = Object.entries(await seriesOf(registry));
  return Object.fromEntries(all.filter(([name]) => name.startsWith(`sallyport_${subject}_`)));
}

describe('certificates', () => {
  test('have no series without TLS', async () => {
    const registry = new Registry();
    createProcessMetrics(registry, { count: 0 });
    expect(await seriesLike('certificate', registry)).toEqual({});
  });

  test('have the end of each in force; of several client CAs the last', async () => {
    const registry = new Registry();
    const { certificates } = createProcessMetrics(registry, { count: 0 });
    certificates([
      ending('server', 100),
      ending('client-ca', 50),
      ending('client-ca', 300),
      ending('client-ca', 200),
    ]);
    expect(await seriesLike('certificate', registry)).toEqual({
      [expiryOf('server')]: 100,
      [expiryOf('client-ca')]: 300,
    });
  });

  test('that are not in force any more have no series', async () => {
    const registry = new Registry();
    const { certificates } = createProcessMetrics(registry, { count: 0 });
    certificates([ending('server', 100), ending('client-ca', 50)]);
    expect(Object.keys(await seriesLike('certificate', registry))).toHaveLength(2);
    certificates([ending('server', 90)]);
    expect(await seriesLike('certificate', registry)).toEqual({ [expiryOf('server')]: 90 });
  });
});

describe('reloads', () => {
  let registry: Registry;
  let refused: { count: number };
  let metrics: ReturnType<typeof createProcessMetrics>;

  beforeEach(() => {
    registry = new Registry();
    refused = { count: 0 };
    metrics = createProcessMetrics(registry, refused);
  });

  const inForce = async () => (await seriesOf(registry)).sallyport_config_last_reload_successful;

  test('begin at 0, with the config of the start in force', async () => {
    expect(await seriesLike('config', registry)).toEqual({
      'sallyport_config_reloads_total{result="success"}': 0,
      'sallyport_config_reloads_total{result="failure"}': 0,
      sallyport_config_last_reload_successful: 1,
    });
  });

  test('are counted by result, whatever was read', async () => {
    metrics.reloaded(true);
    metrics.reloaded(false);
    metrics.reloaded(false);
    expect(await seriesOf(registry)).toMatchObject({
      'sallyport_config_reloads_total{result="success"}': 1,
      'sallyport_config_reloads_total{result="failure"}': 2,
    });
  });

  test('are in force while no source is refused', async () => {
    refused.count = 1;
    expect(await inForce()).toBe(0);
    refused.count = 0;
    expect(await inForce()).toBe(1);
  });
});

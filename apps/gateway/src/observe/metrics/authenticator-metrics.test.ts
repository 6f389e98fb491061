import { type RejectionReason, rejectionReasons } from '@sallyport/authenticator';
import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import type { CircuitState } from '../../engine/chain/circuit.ts';
import type { Guard } from '../../engine/chain/guard.ts';
import { createAuthenticatorMetrics } from './authenticator-metrics.ts';
import { answer, failure, sampleDecisions } from './testing/answers.ts';
import { seriesOf } from './testing/series.ts';

describe('authenticators', () => {
  let registry: Registry;
  let circuits: Record<string, CircuitState>;
  let metrics: ReturnType<typeof createAuthenticatorMetrics>;

  beforeEach(() => {
    registry = new Registry();
    circuits = {};
    metrics = createAuthenticatorMetrics(registry, () =>
      Object.entries(circuits).map(([name, circuitState]) => ({
        name,
        guard: { circuitState } as Guard,
      })),
    );
  });

  const count = async (authenticator: string, decision: string) =>
    (await seriesOf(registry))[
      `sallyport_authenticator_decisions_total{authenticator="${authenticator}",decision="${decision}"}`
    ];
  const rejected = async (authenticator: string, reason: RejectionReason) =>
    (await seriesOf(registry))[
      `sallyport_authenticator_rejections_total{authenticator="${authenticator}",reason="${reason}"}`
    ];
  const timed = async (authenticator: string, decision: string) =>
    (await seriesOf(registry))[
      `sallyport_authenticator_duration_seconds_count{authenticator="${authenticator}",decision="${decision}"}`
    ];
  const names = async () => Object.keys(await seriesOf(registry));

  test('have each decision and each reason from the start, at 0', async () => {
    metrics.follow(['corp', 'robots']);
    const series = await seriesOf(registry);
    expect(Object.keys(series)).toHaveLength(2 * (4 + rejectionReasons.length));
    expect(new Set(Object.values(series))).toEqual(new Set([0]));
    for (const decision of ['authenticated', 'rejected', 'no-opinion', 'error']) {
      expect(await count('corp', decision)).toBe(0);
    }
    expect(await rejected('robots', 'blocked')).toBe(0);
  });

  test('are counted and timed by decision, refusals also by reason', async () => {
    metrics.follow(['corp', 'robots']);
    for (const decision of sampleDecisions) metrics.record(answer('corp', decision));
    metrics.record(failure('corp'));
    metrics.record(failure('corp'));
    const kinds = ['authenticated', 'rejected', 'no-opinion', 'error'];
    expect(await Promise.all(kinds.map((kind) => count('corp', kind)))).toEqual([1, 1, 1, 2]);
    expect(await Promise.all(kinds.map((kind) => timed('corp', kind)))).toEqual([1, 1, 1, 2]);
    expect(await Promise.all(kinds.map((kind) => count('robots', kind)))).toEqual([0, 0, 0, 0]);
    expect([await rejected('corp', 'expired'), await rejected('corp', 'revoked')]).toEqual([1, 0]);
  });

  test('count an answer from the cache as a decision like any other, with its own time', async () => {
    metrics.follow(['corp']);
    metrics.record({
      ...answer('corp', { kind: 'authenticated', user: { username: 'jane' } }, 0.00004),
      source: 'memory',
    });
    expect(await count('corp', 'authenticated')).toBe(1);
    const bucket = 'le="0.00005",authenticator="corp",decision="authenticated"';
    expect(
      (await seriesOf(registry))[`sallyport_authenticator_duration_seconds_bucket{${bucket}}`],
    ).toBe(1);
  });

  test('do not count a token that they do not recognise', async () => {
    metrics.follow(['corp']);
    metrics.record({
      authenticator: 'corp',
      seconds: 0,
      decision: { kind: 'no-opinion' },
      recognized: false,
    });
    expect([await count('corp', 'no-opinion'), await timed('corp', 'no-opinion')]).toEqual([
      0,
      undefined,
    ]);
  });

  test('that are removed have no series, and a late answer brings none back', async () => {
    metrics.follow(['corp', 'robots']);
    for (const name of ['corp', 'robots'])
      for (const decision of sampleDecisions) metrics.record(answer(name, decision));
    metrics.follow(['robots']);
    metrics.record(answer('corp', { kind: 'rejected', reason: 'expired' }));
    metrics.record(failure('corp'));
    expect((await names()).filter((name) => name.includes('"corp"'))).toEqual([]);
    expect([await count('robots', 'rejected'), await rejected('robots', 'expired')]).toEqual([
      1, 1,
    ]);
  });

  test('that stay keep their counts, and one that is added again begins at 0', async () => {
    metrics.follow(['corp', 'robots']);
    for (const name of ['corp', 'robots']) metrics.record(failure(name));
    metrics.follow(['corp']);
    metrics.follow(['robots', 'corp']);
    expect([await count('corp', 'error'), await count('robots', 'error')]).toEqual([1, 0]);
    expect(await timed('robots', 'error')).toBeUndefined();
  });

  test('have the state of their circuit at the scrape, and none when they are removed', async () => {
    const states = async () =>
      Object.entries(await seriesOf(registry)).filter(([name]) =>
        name.startsWith('sallyport_authenticator_circuit'),
      );
    circuits = { corp: 'closed', robots: 'half-open', down: 'open' };
    expect(await states()).toEqual([
      ['sallyport_authenticator_circuit_state{authenticator="corp"}', 0],
      ['sallyport_authenticator_circuit_state{authenticator="robots"}', 1],
      ['sallyport_authenticator_circuit_state{authenticator="down"}', 2],
    ]);
    circuits = { corp: 'open' };
    expect(await states()).toEqual([
      ['sallyport_authenticator_circuit_state{authenticator="corp"}', 2],
    ]);
  });
});

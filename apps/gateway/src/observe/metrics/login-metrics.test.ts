import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { LoginConfig } from '../../config/types.ts';
import { createLoginMetrics } from './login-metrics.ts';

const labels = {
  actions: ['login', 'page-login', 'provider-login', 'page', 'redeem', 'clusters', 'none'],
  outcomes: ['ok', 'refused', 'error'],
} as const;

const configOf = (...authenticators: string[]) => ({
  login: { authenticators, providers: { okta: {} } } as unknown as LoginConfig,
});

test('without a login server there are no series', async () => {
  const registry = new Registry();
  createLoginMetrics(registry, labels, () => 0).follow({});
  expect(
    (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#')),
  ).toEqual([]);
});

test('requests, logins, slots and revalidations are counted, from 0', async () => {
  const registry = new Registry();
  const metrics = createLoginMetrics(registry, labels, () => 7);
  metrics.follow(configOf('corp', 'partner'));
  for (const action of ['login', 'page-login', 'provider-login'] as const)
    metrics.onLogin({ action, outcome: 'ok', seconds: 0.2, isProof: true });
  for (const action of ['page', 'redeem', 'clusters'] as const)
    metrics.onLogin({ action, outcome: 'ok', seconds: 0.2, isProof: false });
  metrics.onProviderCall('okta', 'token', false);
  metrics.onProviderCall('removed', 'token', false);
  metrics.onRevalidated('corp', 'stale');
  metrics.onRevalidated('removed', 'stale');
  const text = await registry.metrics();
  for (const line of [
    'sallyport_login_requests_total{action="login",outcome="ok"} 1',
    'sallyport_login_requests_total{action="login",outcome="refused"} 0',
    'sallyport_login_requests_total{action="none",outcome="error"} 0',
    'sallyport_login_requests_total{action="page-login",outcome="ok"} 1',
    'sallyport_login_duration_seconds_count{outcome="ok"} 3',
    'sallyport_login_provider_requests_total{provider="okta",call="token",result="error"} 1',
    'sallyport_login_provider_requests_total{provider="okta",call="discovery",result="ok"} 0',
    'sallyport_in_flight_login_requests 7',
    'sallyport_session_revalidations_total{authenticator="corp",result="stale"} 1',
    'sallyport_session_revalidations_total{authenticator="partner",result="confirmed"} 0',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
  expect(text).not.toContain('removed');
  metrics.follow(configOf('corp'));
  expect(await registry.metrics()).not.toContain('partner');
});

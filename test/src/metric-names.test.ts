import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import { sealingKey, startCacheGateway } from './testing/cache-gateway.ts';
import { asked, drawn, metricsIn, readDashboard, readRules, recordsOf } from './testing/deployed.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';

/** What each kind of metric has besides its own name. */
const endings: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

async function readNames(adminUrl: string): Promise<readonly string[]> {
  const text = await (await fetch(new URL('/metrics', adminUrl))).text();
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return types.flatMap(([, name = '', type = '']) => (endings[type] ?? ['']).map((ending) => name + ending));
}

const files = await readRules();
const dashboard = await readDashboard();
const expressions = {
  rules: files.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
  dashboard: drawn(dashboard).flatMap(({ targets }) => targets.map(({ expr }) => asked(expr, dashboard))),
  variables: dashboard.templating.list.flatMap(({ definition }) => definition ?? []),
};

test('each metric that rules and dashboard name is one of a running gateway', async () => {
  await using redis = await startRedis();
  const files = { 'tokens.yaml': tokensFile({}) };
  const sharing = { redis: { url: redis.url }, keys: [sealingKey()] };
  await using place = await startCacheGateway({ authenticators: [staticAuthenticator], files, ...sharing });
  const names = await readNames(place.gateway.adminUrl);
  for (const [where, all] of Object.entries(expressions)) {
    const named = [...new Set(all.flatMap(metricsIn))].sort();
    expect(named.length, where).toBeGreaterThan(0);
    expect(
      named.filter((name) => !names.includes(name)),
      where,
    ).toEqual([]);
  }
});

test('each record that a rule names is made by another', () => {
  const made = recordsOf(files).map(({ record }) => record);
  const named = [...expressions.rules, ...expressions.dashboard].flatMap((one) => one.match(/\w+:\w+:\w+/g) ?? []);
  expect(named.length).toBeGreaterThan(0);
  expect(made).toEqual(expect.arrayContaining(named));
});

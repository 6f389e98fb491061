import { spawn } from 'node:child_process';
import { randomUUID, X509Certificate } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, get, http1Client, review } from './testing/clients.ts';
import {
  asked,
  drawn,
  metricsIn,
  readDashboard,
  readRules,
  recordsOf,
} from './testing/deployed.ts';
import { documentedMetrics } from './testing/documented-metrics.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls } from './testing/mutual-tls.ts';
import { type Scrape, scrape } from './testing/scrape.ts';
import type { ScriptedAnswer } from './testing/script-messages.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';

let backend: ScriptedBackend;
let gateway: Gateway;
let client: Client;

/** A gateway with three authenticators whose tokens begin with their name, and one of Redis without a Redis. */
beforeAll(async () => {
  backend = await startScriptedBackend();
  const scripted = ['corp', 'robots', 'broken'].map((name) =>
    backend.authenticator(name, { circuit: { minimumCalls: 100 } }, { recognizes: `${name}-` }),
  );
  const redis = { name: 'issued', use: 'redis', options: { url: 'redis://127.0.0.1:1' } };
  gateway = await startGateway({ config: { authenticators: [...scripted, redis] } });
  client = http1Client(gateway.url);
});

afterAll(async () => {
  client[Symbol.dispose]();
  await gateway.stop();
});

/** Makes a token with this answer that only this authenticator recognizes. */
function token(name: 'corp' | 'robots' | 'broken', answer: ScriptedAnswer): string {
  const made = `${name}-${randomToken()}`;
  backend.answer(made, answer);
  return made;
}

/** Lists the output of promtool, line by line: its complaints, and the errors that keep it from reading. */
async function complaints(of: string): Promise<readonly string[]> {
  const child = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(of);
  const said = (await Promise.all([text(child.stdout), text(child.stderr)])).join('');
  return said.split('\n').filter((line) => line !== '' && !/^(nodejs|process)_/.test(line));
}

/** Sends reviews of every outcome, with everything that a caller may choose. */
async function anything(): Promise<void> {
  const name = randomUUID();
  await review(client, token('corp', authenticated(name, [name])), 'v1', [name]);
  await review(client, token('corp', authenticated(name)), 'v1beta1');
  await review(client, token('robots', { kind: 'rejected', reason: 'expired', subject: name }));
  await review(client, token('corp', { kind: 'no-opinion' }));
  await review(client, token('broken', { kind: 'throw', code: 'failed', message: name }));
  await client.send({
    body: JSON.stringify({ kind: name, apiVersion: `${name}/v9`, spec: { token: randomToken() } }),
  });
  await client.send({
    body: reviewBody(randomToken()),
    path: `/authenticate?${name}`,
    headers: { 'user-agent': name },
  });
  await client.send({ path: `/${name}` });
}

describe('/metrics', () => {
  let seen: Scrape;
  beforeAll(async () => {
    await anything();
    seen = await scrape(gateway);
  });

  test('has each metric of the list and no other, each with a type and a help that says more than its name', () => {
    const own = [...seen.families].filter(([name]) => /^sallyport_(?!plugin_)/.test(name));
    const types = Object.entries(documentedMetrics).map(([name, { type }]) => [name, type]);
    expect(Object.fromEntries(own.map(([name, { type }]) => [name, type]))).toEqual(
      Object.fromEntries(types),
    );
    for (const [name, { help }] of own) expect(help, name).toMatch(/^.{60,}\.$/);
  });

  test('promtool finds no problem, and finds one in a wrong text', async () => {
    expect(await complaints(seen.text)).toEqual([]);
    const wrong = '# TYPE sallyport_wrong counter\nsallyport_wrong 1\n';
    expect((await complaints(seen.text + wrong)).join()).toContain('sallyport_wrong');
  });

  test('has the labels of the list', () => {
    for (const [name, { labels }] of Object.entries(documentedMetrics)) {
      const series = seen.series.find((one) =>
        one.replace(/_count(?=\{)/, '').startsWith(`${name}{`),
      );
      const used = [...(series ?? '').matchAll(/(\w+)="/g)]
        .map(([, label]) => label)
        .filter((label) => label !== 'le');
      // The metric of certificates does not exist without TLS.
      if (series !== undefined || labels.length === 0) expect(labels, name).toEqual(used);
    }
  });

  test('has the metrics of plugins under their name, with the label of the authenticator', () => {
    const plugins = seen.series.filter((one) => one.startsWith('sallyport_plugin_'));
    expect(plugins.length).toBeGreaterThan(0);
    for (const one of plugins)
      expect(one).toMatch(/^sallyport_plugin_redis_\w+\{.*authenticator="issued"/);
  });

  test('gets no series by what callers choose, and counts each review once', async () => {
    const before = await scrape(gateway);
    const times = 20;
    for (let time = 0; time < times; time++) await anything();
    const after = await scrape(gateway);
    expect(after.series).toEqual(before.series);
    const grown = (series: string) => (after.value(series) ?? 0) - (before.value(series) ?? 0);
    for (const [series, by] of [
      ['token_reviews_total{outcome="authenticated",version="v1"}', 1],
      ['token_reviews_total{outcome="authenticated",version="v1beta1"}', 1],
      ['token_reviews_total{outcome="rejected",version="v1"}', 1],
      ['token_reviews_total{outcome="unknown",version="v1"}', 2],
      ['token_reviews_total{outcome="error",version="v1"}', 1],
      ['token_reviews_total{outcome="invalid",version="none"}', 1],
      ['token_review_duration_seconds_count{outcome="authenticated"}', 2],
      ['authenticator_decisions_total{authenticator="corp",decision="authenticated"}', 2],
      ['authenticator_duration_seconds_count{authenticator="corp",decision="no-opinion"}', 1],
      ['authenticator_rejections_total{authenticator="robots",reason="expired"}', 1],
      ['authenticator_decisions_total{authenticator="broken",decision="error"}', 1],
    ] as const) {
      expect(grown(`sallyport_${series}`), series).toBe(by * times);
    }
  });

  test('has each metric that the shipped rules and the dashboard name', async () => {
    const endings: Readonly<Record<string, readonly string[]>> = {
      histogram: ['_bucket', '_sum', '_count'],
      summary: ['', '_sum', '_count'],
    };
    const names = [...seen.families].flatMap(([name, { type }]) =>
      (endings[type] ?? ['']).map((end) => name + end),
    );
    const files = await readRules();
    const dashboard = await readDashboard();
    const expressions = {
      rules: files.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
      dashboard: drawn(dashboard).flatMap(({ targets }) =>
        targets.map(({ expr }) => asked(expr, dashboard)),
      ),
      variables: dashboard.templating.list.flatMap(({ definition }) => definition ?? []),
    };
    for (const [where, all] of Object.entries(expressions)) {
      const named = [...new Set(all.flatMap(metricsIn))].sort();
      expect(named.length, where).toBeGreaterThan(0);
      expect(
        named.filter((name) => !names.includes(name)),
        where,
      ).toEqual([]);
    }
    // Each record that a rule names is made by another rule.
    const made = recordsOf(files).map(({ record }) => record);
    const named = [...expressions.rules, ...expressions.dashboard].flatMap(
      (one) => one.match(/\w+:\w+:\w+/g) ?? [],
    );
    expect(named.length).toBeGreaterThan(0);
    expect(made).toEqual(expect.arrayContaining(named));
  });
});

describe('the admin address', () => {
  test('/readyz?verbose reports a backend that is down, which does not decide readiness', async () => {
    const { status, text } = await get(gateway.adminUrl, '/readyz?verbose');
    expect(status).toBe(200);
    expect(text).toMatch(/^\[\+\]ping ok\n/);
    expect(text).toMatch(/corp.* ok\n/);
    expect(text).toMatch(/issued.* failed/);
    expect(text).toMatch(/readyz check passed\n$/);
    expect(await get(gateway.adminUrl, '/readyz')).toMatchObject({ status: 200, text: 'ok' });
    expect(await get(gateway.adminUrl, '/livez')).toMatchObject({ status: 200, text: 'ok' });
  });

  test('answers no reviews, and the address of reviews no metrics and probes', async () => {
    using admin = http1Client(gateway.adminUrl);
    expect((await admin.send({ body: '{}' })).status).toBe(404);
    for (const path of ['/metrics', '/readyz'])
      expect((await get(gateway.url, path)).status).toBe(404);
  });
});

describe('a reload', () => {
  /** Counts reloads that succeeded and that failed, and reads whether the files on disk are in force. */
  async function reloads(of: Gateway): Promise<readonly unknown[]> {
    const { value } = await scrape(of);
    const count = (result: string) => value(`sallyport_config_reloads_total{result="${result}"}`);
    return [count('success'), count('failure'), value('sallyport_config_last_reload_successful')];
  }

  /** Makes a change, and waits until a reload has been counted. */
  async function afterReload(
    of: Gateway,
    change: () => Promise<void>,
  ): Promise<readonly unknown[]> {
    const before = JSON.stringify(await reloads(of));
    await change();
    return waitFor(async () => {
      const now = await reloads(of);
      return JSON.stringify(now) !== before && now;
    }, 'a reload to be counted');
  }

  test('that is refused is exported until what was refused is fixed, and removed authenticators leave', async () => {
    const mutualTls = await createMutualTls();
    const { tls } = mutualTls;
    const files: Record<string, string> = {
      ...mutualTls.files,
      'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }),
    };
    const config = { server: { tls }, authenticators: [staticAuthenticator] };
    await using own = await startGateway({ config, files });
    expect(await reloads(own)).toEqual([0, 0, 1]);
    // These are the times at which the certificates in force expire.
    const ends = async (): Promise<readonly unknown[]> => {
      const { value } = await scrape(own);
      const names = ['server', 'client-ca'];
      return names.map((name) =>
        value(`sallyport_certificate_expiry_timestamp_seconds{certificate="${name}"}`),
      );
    };
    const endOf = (pem: string | undefined): number =>
      new X509Certificate(pem ?? '').validToDate.getTime() / 1000;
    const first = [endOf(files['tls/server.crt']), endOf(files['tls/client-ca.crt'])];
    expect(await ends()).toEqual(first);
    const pair = await mutualTls.serverAuthority.issueServer({ days: 3 });
    expect(await afterReload(own, () => own.write('tls/server.crt', pair.certificate))).toEqual([
      0, 1, 0,
    ]);
    expect(await ends()).toEqual(first);
    expect(await afterReload(own, () => own.write('tls/server.key', pair.key))).toEqual([1, 1, 1]);
    expect(await ends()).toEqual([endOf(pair.certificate), first[1]]);

    const renamed = { ...config, authenticators: [{ ...staticAuthenticator, name: 'renamed' }] };
    expect(await afterReload(own, () => own.configure(renamed))).toEqual([2, 1, 1]);
    const { series } = await scrape(own);
    expect(series.filter((one) => one.includes(`"${staticAuthenticator.name}"`))).toEqual([]);
    expect(series).toContain('sallyport_authenticator_circuit_state{authenticator="renamed"}');
  });
});

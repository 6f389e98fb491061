import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, review } from './testing/clients.ts';
import { type CountedGateway, startCountedGateway } from './testing/counted-gateway.ts';
import { readDocument } from './testing/deployed.ts';
import type { Gateway } from './testing/gateway.ts';
import { type Scrape, scrape } from './testing/scrape.ts';
import { authenticated } from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

/** Of the design: what operators' dashboards and rules are built on. */
const types: Readonly<Record<string, string>> = {
  sallyport_token_reviews_total: 'counter',
  sallyport_token_review_duration_seconds: 'histogram',
  sallyport_authenticator_decisions_total: 'counter',
  sallyport_authenticator_duration_seconds: 'histogram',
  sallyport_authenticator_rejections_total: 'counter',
  sallyport_authenticator_circuit_state: 'gauge',
  sallyport_cache_lookups_total: 'counter',
  sallyport_cache_entries: 'gauge',
  sallyport_coalesced_lookups_total: 'counter',
  sallyport_revocation_list_age_seconds: 'gauge',
  sallyport_revocations_total: 'counter',
  sallyport_blocks: 'gauge',
  sallyport_revocation_list_foreign_keys_total: 'counter',
  sallyport_redis_errors_total: 'counter',
  sallyport_lockout_foreign_records_total: 'counter',
  sallyport_lockout_subjects: 'gauge',
  sallyport_in_flight_token_reviews: 'gauge',
  sallyport_config_reloads_total: 'counter',
  sallyport_config_last_reload_successful: 'gauge',
  sallyport_certificate_expiry_timestamp_seconds: 'gauge',
  sallyport_audit_lines_dropped_total: 'counter',
  sallyport_build_info: 'gauge',
  sallyport_login_requests_total: 'counter',
  sallyport_login_duration_seconds: 'histogram',
  sallyport_in_flight_login_requests: 'gauge',
  sallyport_session_revalidations_total: 'counter',
};

let place: CountedGateway;
let token: CountedGateway['token'];
let gateway: Gateway;
let client: Client;

beforeAll(async () => {
  place = await startCountedGateway(100);
  ({ token, gateway, client } = place);
});

afterAll(() => place[Symbol.asyncDispose]());

/** What promtool says of it, line by line: its complaints, and whatever keeps it from reading. */
async function complaints(of: string): Promise<readonly string[]> {
  const child = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(of);
  const said = (await Promise.all([text(child.stdout), text(child.stderr)])).join('');
  return said.split('\n').filter((line) => line !== '' && !/^(nodejs|process)_/.test(line));
}

/** Reviews of every outcome, with whatever a caller may choose. */
async function anything(): Promise<void> {
  const name = randomUUID();
  await review(client, token('corp', authenticated(name, [name])), 'v1', [name]);
  await review(client, token('corp', authenticated(name)), 'v1beta1');
  await review(client, token('robots', { kind: 'rejected', reason: 'expired', subject: name }));
  await review(client, token('corp', { kind: 'no-opinion' }));
  await review(client, token('broken', { kind: 'throw', code: 'failed', message: name }));
  await client.send({ body: JSON.stringify({ kind: name, apiVersion: `${name}/v9`, spec: { token: randomToken() } }) });
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
    expect(Object.fromEntries(own.map(([name, { type }]) => [name, type]))).toEqual(types);
    for (const [name, { help }] of own) expect(help, name).toMatch(/^.{60,}\.$/);
  });

  test('promtool finds no problem, and finds one in a wrong text', async () => {
    expect(await complaints(seen.text)).toEqual([]);
    const wrong = '# TYPE sallyport_wrong counter\nsallyport_wrong 1\n';
    expect((await complaints(seen.text + wrong)).join()).toContain('sallyport_wrong');
  });

  test('is in the table of docs/operations.md, whole, with its labels', async () => {
    const [, section = ''] = (await readDocument('docs/operations.md')).split(/^## Metrics\n/m);
    const [table = ''] = section.split(/^## /m);
    const rows = [...table.matchAll(/^\| `(sallyport_\w+)` \|([^|]*)\|/gm)];
    expect(rows.map(([, name]) => name).sort()).toEqual(Object.keys(types).sort());
    for (const [, name = '', labels = ''] of rows) {
      const documented = [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort();
      const series = seen.series.find((one) => one.replace(/_count(?=\{)/, '').startsWith(`${name}{`));
      const used = [...(series ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label).filter((label) => label !== 'le');
      // That of certificates is not there without TLS.
      if (series !== undefined || labels === ' ') expect(documented, name).toEqual(used);
    }
  });

  test('has the metrics of plugins under their name, with the label of the authenticator', () => {
    const plugins = seen.series.filter((one) => one.startsWith('sallyport_plugin_'));
    expect(plugins.length).toBeGreaterThan(0);
    for (const one of plugins) expect(one).toMatch(/^sallyport_plugin_redis_\w+\{.*authenticator="issued"/);
  });

  test('gets no series by what callers choose', async () => {
    const before = (await scrape(gateway)).series;
    for (const _ of Array.from({ length: 20 })) await anything();
    expect((await scrape(gateway)).series).toEqual(before);
  });
});

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, http1Client, type Response, review } from './fixtures/clients.ts';
import { readDocument } from './fixtures/deployed.ts';
import { type Gateway, startGateway } from './fixtures/gateway.ts';
import { type Scrape, scrape } from './fixtures/scrape.ts';
import type { Answer } from './fixtures/script-messages.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './fixtures/scripted-backend.ts';
import { reviewBody, type Version } from './fixtures/token-review.ts';
import { randomToken } from './fixtures/tokens.ts';
import { waitFor } from './fixtures/wait-for.ts';

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
  sallyport_redis_errors_total: 'counter',
  sallyport_in_flight_token_reviews: 'gauge',
  sallyport_config_reloads_total: 'counter',
  sallyport_config_last_reload_successful: 'gauge',
  sallyport_certificate_expiry_timestamp_seconds: 'gauge',
  sallyport_audit_lines_dropped_total: 'counter',
  sallyport_build_info: 'gauge',
};

let backend: ScriptedBackend;
let gateway: Gateway;
let client: Client;

const prefixes = ['corp', 'robots', 'broken'] as const;
/** A token that this authenticator alone recognises, answered so. */
function token(prefix: (typeof prefixes)[number], answer: Answer): string {
  const made = `${prefix}-${randomToken()}`;
  backend.answer(made, answer);
  return made;
}

beforeAll(async () => {
  backend = await startScriptedBackend();
  // A body that is slow to come takes the place that those who hang leave.
  const settings = { maxConcurrent: 1, circuit: { minimumCalls: 100 } };
  const scripted = prefixes.map((name) => backend.authenticator(name, settings, { recognizes: `${name}-` }));
  // Nobody is there, and no token is theirs.
  const redis = { name: 'issued', use: 'redis', maxConcurrent: 1, options: { url: 'redis://127.0.0.1:1' } };
  gateway = await startGateway({ config: { server: { maxInFlight: 5 }, authenticators: [...scripted, redis] } });
  client = http1Client(gateway.url);
});

afterAll(async () => {
  client[Symbol.dispose]();
  await gateway.stop();
});

/** How much each series of the gateway has grown, those that did left out; without the sums and buckets of times. */
async function growth(work: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
  const before = await scrape(gateway);
  await work();
  const after = await scrape(gateway);
  const counted = after.series.filter((name) => /^sallyport_(token_review|authenticator_(?!circuit))/.test(name));
  const grown = counted.map((name) => [name, (after.value(name) ?? 0) - (before.value(name) ?? 0)] as const);
  return Object.fromEntries(grown.filter(([name, by]) => by !== 0 && !/_(bucket|sum)[{]/.test(name)));
}

const reviewed = (outcome: string, version: Version | 'none' = 'v1') => ({
  [`sallyport_token_reviews_total{outcome="${outcome}",version="${version}"}`]: 1,
  [`sallyport_token_review_duration_seconds_count{outcome="${outcome}"}`]: 1,
});
const decided = (authenticator: string, decision: string) => ({
  [`sallyport_authenticator_decisions_total{authenticator="${authenticator}",decision="${decision}"}`]: 1,
  [`sallyport_authenticator_duration_seconds_count{authenticator="${authenticator}",decision="${decision}"}`]: 1,
});

describe('one review', () => {
  test.each(['v1', 'v1beta1'] as const)('that lets somebody in counts once, in %s', async (version) => {
    const good = token('corp', authenticated('ada'));
    expect(await growth(() => review(client, good, version))).toEqual({
      ...reviewed('authenticated', version),
      ...decided('corp', 'authenticated'),
    });
  });

  test('out of the cache is a decision like any other', async () => {
    const good = token('corp', authenticated('ada'));
    const settings = { cache: { store: 'memory' } };
    const config = { authenticators: [backend.authenticator('corp', settings)] };
    await using own = await startGateway({ config });
    using ownClient = http1Client(own.url);
    for (const _ of [1, 2, 3]) await review(ownClient, good);
    const seen = await scrape(own);
    const value = (series: string) => seen.value(`sallyport_${series}`);
    expect(backend.callsOf(good)).toHaveLength(1);
    expect(value('authenticator_decisions_total{authenticator="corp",decision="authenticated"}')).toBe(3);
    expect(value('authenticator_duration_seconds_count{authenticator="corp",decision="authenticated"}')).toBe(3);
    expect(value('cache_lookups_total{authenticator="corp",result="hit",tier="memory"}')).toBe(2);
    expect(value('cache_lookups_total{authenticator="corp",result="miss",tier="memory"}')).toBe(1);
  });

  test('that refuses counts the reason', async () => {
    const bad = token('robots', { kind: 'rejected', reason: 'revoked' });
    expect(await growth(() => review(client, bad))).toEqual({
      ...reviewed('rejected'),
      ...decided('robots', 'rejected'),
      'sallyport_authenticator_rejections_total{authenticator="robots",reason="revoked"}': 1,
    });
  });

  test('that nobody recognises counts no decision', async () => {
    expect(await growth(() => review(client, randomToken()))).toEqual(reviewed('unknown'));
  });

  test('that one recognises and does not know counts its no-opinion', async () => {
    const unknown = token('corp', { kind: 'no-opinion' });
    expect(await growth(() => review(client, unknown))).toEqual({
      ...reviewed('unknown'),
      ...decided('corp', 'no-opinion'),
    });
  });

  test('that could not be checked counts the error', async () => {
    const down = token('broken', { kind: 'throw', code: 'unavailable' });
    expect(await growth(() => review(client, down))).toEqual({ ...reviewed('error'), ...decided('broken', 'error') });
  });

  test.each(['', '{}', '[', reviewBody('')])('that can not be read counts without a version: %s', async (body) => {
    expect(await growth(() => client.send({ body }))).toEqual(reviewed('invalid', 'none'));
  });

  test('that finds no place counts as overloaded, and those under way are told', async () => {
    const inFlight = async () => (await scrape(gateway)).value('sallyport_in_flight_token_reviews');
    const caller = new AbortController();
    const halves = Array.from({ length: 5 }, () =>
      client.send({ body: '{', headers: { 'content-length': '1000' }, signal: caller.signal }).catch(() => undefined),
    );
    await waitFor(async () => (await inFlight()) === 5, 'slow bodies to take all places');
    let refused: Response | undefined;
    const grown = await growth(async () => {
      refused = await client.send({ body: reviewBody(randomToken()) });
    });
    expect(refused?.status).toBe(429);
    expect(grown).toEqual(reviewed('overloaded', 'none'));
    caller.abort();
    await Promise.all(halves);
    await waitFor(async () => (await inFlight()) === 0, 'the places to be free');
  });
});

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

  test('finds no fault with promtool, which finds one where there is', async () => {
    expect(await complaints(seen.text)).toEqual([]);
    const wrong = '# TYPE sallyport_wrong counter\nsallyport_wrong 1\n';
    expect((await complaints(seen.text + wrong)).join()).toContain('sallyport_wrong');
  });

  test('stands in the table of docs/operations.md, whole, with its labels', async () => {
    const [, section = ''] = (await readDocument('docs/operations.md')).split(/^## Metrics\n/m);
    const [table = ''] = section.split(/^## /m);
    const rows = [...table.matchAll(/^\| `(sallyport_\w+)` \|([^|]*)\|/gm)];
    expect(rows.map(([, name]) => name).sort()).toEqual(Object.keys(types).sort());
    for (const [, name = '', labels = ''] of rows) {
      const told = [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort();
      const series = seen.series.find((one) => one.replace(/_count(?=\{)/, '').startsWith(`${name}{`));
      const used = [...(series ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label).filter((label) => label !== 'le');
      // That of certificates is not there without TLS.
      if (series !== undefined || labels === ' ') expect(told, name).toEqual(used);
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

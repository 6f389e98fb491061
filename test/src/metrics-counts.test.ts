import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, http1Client, type Response, review } from './testing/clients.ts';
import { type CountedGateway, startCountedGateway } from './testing/counted-gateway.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { scrape } from './testing/scrape.ts';
import { authenticated } from './testing/scripted-backend.ts';
import { reviewBody, type Version } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

/** server.maxInFlight of the gateway. */
const maxInFlight = 5;
let place: CountedGateway;
let token: CountedGateway['token'];
let gateway: Gateway;
let client: Client;

beforeAll(async () => {
  place = await startCountedGateway(maxInFlight);
  ({ token, gateway, client } = place);
});

afterAll(() => place[Symbol.asyncDispose]());

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
  test.each(['v1', 'v1beta1'] as const)('that lets a user in counts once, in %s', async (version) => {
    const good = token('corp', authenticated('ada'));
    expect(await growth(() => review(client, good, version))).toEqual({
      ...reviewed('authenticated', version),
      ...decided('corp', 'authenticated'),
    });
  });

  test('out of the cache is a decision like any other', async () => {
    const good = token('corp', authenticated('ada'));
    const settings = { cache: { store: 'memory' } };
    const config = { authenticators: [place.backend.authenticator('corp', settings)] };
    await using own = await startGateway({ config });
    using ownClient = http1Client(own.url);
    for (const _ of [1, 2, 3]) await review(ownClient, good);
    const seen = await scrape(own);
    const value = (series: string) => seen.value(`sallyport_${series}`);
    expect(place.backend.callsOf(good)).toHaveLength(1);
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

  test('that no authenticator recognises counts no decision', async () => {
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

  test.each(['', '{}', '[', reviewBody('')])('that cannot be read counts without a version: %s', async (body) => {
    expect(await growth(() => client.send({ body }))).toEqual(reviewed('invalid', 'none'));
  });

  test('over maxInFlight counts as overloaded, and those in flight are exported', async () => {
    const inFlight = async () => (await scrape(gateway)).value('sallyport_in_flight_token_reviews');
    const caller = new AbortController();
    const body = reviewBody(token('robots', { kind: 'hang' }));
    const waiting = Array.from({ length: maxInFlight }, () =>
      client.send({ body, signal: caller.signal }).catch(() => undefined),
    );
    await waitFor(async () => (await inFlight()) === maxInFlight, 'as many reviews as the gateway accepts');
    let refused: Response | undefined;
    const grown = await growth(async () => {
      refused = await client.send({ body: reviewBody(randomToken()) });
    });
    expect(refused?.status).toBe(429);
    expect(grown).toEqual(reviewed('overloaded', 'none'));
    caller.abort();
    await Promise.all(waiting);
    await waitFor(async () => (await inFlight()) === 0, 'no review to be in flight');
  });
});

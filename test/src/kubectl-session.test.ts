import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { done, get, loggedIn, logIn, newDesk, tokenOf, untilRefused } from './testing/kubectl-user.ts';
import { type Desk, type Site, startSite } from './testing/login-client.ts';
import { untilReplicated } from './testing/redis-tokens.ts';
import { scrape } from './testing/scrape.ts';

let site: Site;
beforeAll(async () => {
  site = await startSite({
    login: { revalidate: '1s', limits: { inFlight: 1 } },
    // A login waits for a directory that hangs until a second one has come, however slow this machine is.
    entry: { cache: { staleTtl: '10m' }, timeout: '28s' },
    options: { serverTimeout: '25s' },
    more: { server: { reviewTimeout: '30s' } },
  });
});
afterAll(() => site[Symbol.asyncDispose]());

/** A desk where alice is logged in, and works. */
async function deskOf(at: Site): Promise<Desk> {
  const desk = await loggedIn(at);
  expect(await desk.kubectl(get)).toEqual(done);
  return desk;
}

describe('kubectl', () => {
  test('goes on while the Redis of sessions hangs, while the directory is down, and when gateways were restarted', async () => {
    const desk = await deskOf(site);
    const whoami = async () => (await desk.sallyport(['whoami'])).stdout;
    const untilTooOld = (from = performance.now()) =>
      waitFor(() => performance.now() - from > 1_100, 'the answer to be too old');
    await site.place.redis.hang();
    await untilTooOld();
    expect(await desk.kubectl(get)).toEqual(done);
    await site.place.redis.start();
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await whoami()).toContain('corp:alice');
    await site.place.people.slapd.stop();
    await untilTooOld();
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await desk.kubectl(get)).toEqual(done);
    await site.place.people.slapd.start();
    await site.restart();
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await whoami()).toContain('corp:alice');
  });

  test('goes on when the Redis of sessions fails over, and logs out then', async () => {
    await using sentinels = await startSentinels();
    await using own = await startSite({ count: 2, sentinels });
    const { redis } = own.place;
    const desk = await deskOf(own);
    const token = await tokenOf(desk);
    const spare = await tokenOf(await loggedIn(own));
    // It looks at the writes of its own connection.
    await redis.client().set('last', 'write');
    await untilReplicated(redis);
    const promoted = sentinels.untilPromoted(redis);
    await redis.kill();
    await promoted;
    await waitFor(async () => (await desk.sallyport(['whoami'])).code === 0, 'the session at the new master');
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await tokenOf(desk)).toBe(token);
    // A gateway may read at the new master before it can write there. A logout that fails can't be repeated by the command.
    const endsSessions = async () => [204, 401].includes(await own.ask('DELETE', '/v1/session', spare));
    await waitFor(endsSessions, 'a logout at the new master');
    expect(await desk.sallyport(['logout'])).toMatchObject({ code: 0 });
    await untilRefused(own, token);
  });

  test('waits for a login server that is busy, as it is told to', async () => {
    const { slapd, alice: first, bob } = site.place.people;
    const [gateway] = site.gateways;
    if (gateway === undefined) throw new Error('no gateway');
    const desk = await newDesk(site);
    const others = await newDesk(site);
    const shows = (series: string) => async () => ((await scrape(gateway)).value(series) ?? 0) > 0;
    await slapd.hang();
    const before = logIn(others, first);
    await waitFor(shows('sallyport_in_flight_login_requests'), 'a login in progress');
    const login = logIn(desk, bob);
    await waitFor(
      shows('sallyport_login_requests_total{action="login",outcome="limited"}'),
      'a login that has to wait',
    );
    await slapd.start();
    await Promise.all([before, login]);
    expect(await desk.kubectl(get)).toEqual(done);
  });
});

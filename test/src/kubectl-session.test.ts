import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { done, get, logIn, newDesk, tokenOf, untilRefused } from './testing/kubectl-user.ts';
import { type Desk, type Site, startSite } from './testing/login-client.ts';
import { untilReplicated } from './testing/redis-tokens.ts';
import { scrape } from './testing/scrape.ts';
import { randomToken } from './testing/tokens.ts';
import { waitFor } from './testing/wait-for.ts';

const setup = { login: { revalidate: '1s' }, entry: { cache: { staleTtl: '10m' } } };

let site: Site;
beforeAll(async () => {
  site = await startSite({ ...setup, count: 2 });
});
afterAll(() => site[Symbol.asyncDispose]());

/** A desk where someone is logged in, and works. */
async function deskOf(at: Site, person = at.place.people.alice): Promise<Desk> {
  const desk = await newDesk(at);
  await logIn(desk, person);
  expect(await desk.kubectl(get)).toEqual(done);
  return desk;
}

describe.concurrent('kubectl', () => {
  test.each<[what: string, ldif: (dn: string) => string]>([
    [
      'is disabled',
      (dn) => `dn: ${dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
    ],
    [
      'has another password',
      (dn) => `dn: ${dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${randomToken()}\n`,
    ],
  ])('is refused when its user %s, and the user is told to log in', async (what, ldif) => {
    const user = await site.place.people.add(what.replaceAll(' ', '-'));
    const desk = await deskOf(site, user);
    const second = Math.floor(Date.now() / 1000);
    await waitFor(() => Math.floor(Date.now() / 1000) > second, 'a later second, as directories count');
    const token = await tokenOf(desk);
    await site.place.people.slapd.modify(ldif(user.dn));
    // A review costs less than kubectl, which is run when it must be refused.
    await untilRefused(site, token);
    expect((await desk.kubectl(get)).code).toBe(1);
    expect((await desk.kubectl(get)).stderr).toContain('Run: kubectl sallyport login\n');
  });

  test('has the groups of the directory, without another login', async () => {
    const { people } = site.place;
    const desk = await deskOf(site, await people.add('ada', 'k8s-ada'));
    const groups = async () => JSON.parse((await desk.sallyport(['whoami', '-o', 'json'])).stdout).groups;
    expect(await groups()).toEqual(['corp:k8s-ada']);
    const token = await tokenOf(desk);
    const group = `cn=k8s-ada,ou=groups,${people.slapd.suffix}`;
    await people.slapd.modify(`dn: ${group}\nchangetype: modify\nreplace: member\nmember: ${people.bob.dn}\n`);
    const isGone = async () => (await site.place.reviews(token)).every(({ user }) => user?.groups?.length === 0);
    await waitFor(isGone, 'the group to be gone');
    expect(await groups()).toEqual([]);
    expect(await desk.kubectl(get)).toEqual(done);
  });

  test('goes on while the Redis of sessions hangs, while the directory is down, and when gateways were restarted', async () => {
    await using own = await startSite(setup);
    const desk = await deskOf(own);
    const whoami = async () => (await desk.sallyport(['whoami'])).stdout;
    const untilTooOld = (from = performance.now()) =>
      waitFor(() => performance.now() - from > 1_100, 'the answer to be too old');
    await own.place.redis.hang();
    await untilTooOld();
    expect(await desk.kubectl(get)).toEqual(done);
    await own.place.redis.start();
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await whoami()).toContain('corp:alice');
    await own.place.people.slapd.stop();
    await untilTooOld();
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await desk.kubectl(get)).toEqual(done);
    await own.place.people.slapd.start();
    await own.restart();
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await whoami()).toContain('corp:alice');
  });

  test('goes on when the Redis of sessions fails over, and logs out then', async () => {
    await using sentinels = await startSentinels();
    await using own = await startSite({ count: 2, sentinels });
    const { redis } = own.place;
    const desk = await deskOf(own);
    const token = await tokenOf(desk);
    // It looks at the writes of its own connection.
    await redis.client().set('last', 'write');
    await untilReplicated(redis);
    const promoted = sentinels.untilPromoted(redis);
    await redis.kill();
    await promoted;
    await waitFor(async () => (await desk.sallyport(['whoami'])).code === 0, 'the session at the new master');
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await tokenOf(desk)).toBe(token);
    expect(await desk.sallyport(['logout'])).toMatchObject({ code: 0 });
    await untilRefused(own, token);
  });

  test('waits for a login server that is busy, as it is told to', async () => {
    // The first login waits for the directory until the second one has come, however slow this machine is.
    await using own = await startSite({
      login: { limits: { inFlight: 1 } },
      entry: { timeout: '28s' },
      options: { serverTimeout: '25s' },
      more: { server: { reviewTimeout: '30s' } },
    });
    const { slapd, alice: first, bob } = own.place.people;
    const [gateway] = own.place.replicas.gateways;
    if (gateway === undefined) throw new Error('no gateway');
    const desk = await newDesk(own);
    const others = await newDesk(own);
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

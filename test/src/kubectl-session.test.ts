import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { describe, expect, test } from 'vitest';
import { done, get, loggedIn, logIn, newDesk, tokenOf, untilRefused } from './testing/kubectl-user.ts';
import { type Desk, type Site, startSite } from './testing/login-client.ts';
import { untilReplicated } from './testing/redis-tokens.ts';
import { scrape } from './testing/scrape.ts';
import { randomToken } from './testing/tokens.ts';
import { waitFor } from './testing/wait-for.ts';

const start = () => startSite({ count: 2, login: { revalidate: '1s' }, entry: { cache: { staleTtl: '10m' } } });

/** A desk where alice is logged in, and works. */
async function alice(site: Site): Promise<Desk> {
  const desk = await loggedIn(site);
  expect(await desk.kubectl(get)).toEqual(done);
  return desk;
}

async function untilOut(desk: Desk): Promise<string> {
  return waitFor(async () => {
    const { code, stderr } = await desk.kubectl(get);
    return code === 0 ? undefined : stderr;
  }, 'kubectl to be refused');
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
  ])('is refused when its user %s, and the user is told to log in', async (_what, ldif) => {
    await using site = await start();
    const desk = await alice(site);
    const second = Math.floor(Date.now() / 1000);
    await waitFor(() => Math.floor(Date.now() / 1000) > second, 'a later second, as directories count');
    await site.place.people.slapd.modify(ldif(site.place.people.alice.dn));
    await untilOut(desk);
    expect(await untilOut(desk)).toContain('Run: kubectl sallyport login\n');
  });

  test('has the groups of the directory, without another login', async () => {
    await using site = await start();
    const desk = await alice(site);
    const groups = async () => JSON.parse((await desk.kubectl(['sallyport', 'whoami', '-o', 'json'])).stdout).groups;
    expect(await groups()).toEqual(['corp:k8s-admins']);
    const { slapd, bob } = site.place.people;
    const group = `cn=operators,ou=groups,${slapd.suffix}`;
    await slapd.modify(`dn: ${group}\nchangetype: modify\nreplace: member\nmember: ${bob.dn}\n`);
    await waitFor(async () => (await groups()).length === 0, 'the group to be gone');
    expect(await desk.kubectl(get)).toEqual(done);
  });

  test('goes on while the directory is down', async () => {
    await using site = await start();
    const desk = await alice(site);
    await site.place.people.slapd.stop();
    const stopped = performance.now();
    await waitFor(() => performance.now() - stopped > 1_100, 'the answer to be too old');
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await desk.kubectl(get)).toEqual(done);
  });

  test('goes on when the gateways were restarted', async () => {
    await using site = await start();
    const desk = await alice(site);
    await site.restart();
    expect(await desk.kubectl(get)).toEqual(done);
    expect((await desk.kubectl(['sallyport', 'whoami'])).stdout).toContain('corp:alice');
  });

  test('goes on while the Redis of sessions hangs', async () => {
    await using site = await start();
    const desk = await alice(site);
    await site.place.redis.hang();
    const began = performance.now();
    await waitFor(() => performance.now() - began > 1_100, 'the answer to be too old');
    expect(await desk.kubectl(get)).toEqual(done);
    await site.place.redis.start();
    expect(await desk.kubectl(get)).toEqual(done);
    expect((await desk.kubectl(['sallyport', 'whoami'])).stdout).toContain('corp:alice');
  });

  test('goes on when the Redis of sessions fails over, and logs out then', async () => {
    await using sentinels = await startSentinels();
    await using site = await startSite({ count: 2, sentinels });
    const desk = await alice(site);
    const token = await tokenOf(desk);
    // It looks at the writes of its own connection.
    await site.place.redis.client().set('last', 'write');
    await untilReplicated(site.place.redis);
    const promoted = sentinels.untilPromoted(site.place.redis);
    await site.place.redis.kill();
    await promoted;
    await waitFor(
      async () => (await desk.kubectl(['sallyport', 'whoami'])).code === 0,
      'the session at the new master',
    );
    expect(await desk.kubectl(get)).toEqual(done);
    expect(await tokenOf(desk)).toBe(token);
    expect(await desk.kubectl(['sallyport', 'logout'])).toMatchObject({ code: 0 });
    await untilRefused(site, token);
  });

  test('waits for a login server that is busy, as it is told to', async () => {
    await using site = await startSite({ login: { limits: { inFlight: 1 } } });
    const { slapd, alice: first, bob } = site.place.people;
    const [gateway] = site.place.replicas.gateways;
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

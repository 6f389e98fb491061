import { join } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { describe, expect, test } from 'vitest';
import { sealingKey, startReplicas } from './testing/cache-gateway.ts';
import { runCommand } from './testing/command.ts';
import { ldapToken, startPeople } from './testing/ldap-gateway.ts';
import { randomToken } from './testing/tokens.ts';

const refused = { authenticated: false };
const maxFailures = 3;

/** Two replicas in front of one directory, and commands with the config of one of them. */
async function start(sharing = true) {
  await using resources = new AsyncDisposableStack();
  const people = resources.use(await startPeople());
  const redis = resources.use(await startRedis());
  const entry = { cache: 'off', timeout: '9s' };
  const authenticators = [people.authenticator({ options: { serverTimeout: '4s' }, entry })];
  const shared = sharing ? { redis: { url: redis.url }, keys: [sealingKey()] } : {};
  const { replicas } = resources.use(await startReplicas(2, { authenticators, files: people.files, ...shared }));
  const [one, other] = replicas;
  if (one === undefined || other === undefined) throw new Error('there must be two');
  const owned = resources.move();
  const env = { SALLYPORT_CONFIG: join(one.gateway.folder, 'gateway.yaml') };
  return {
    ...{ people, redis, one, other },
    run: (words: readonly string[], input = '') => runCommand(words, { cwd: one.gateway.folder, env }, input),
    binds: async (dn: string) => (await people.slapd.operations()).bindsByDn.get(dn) ?? 0,
    async json(...words: readonly string[]) {
      const { code, stdout } = await this.run([...words, '-o', 'json']);
      return { code, ...JSON.parse(stdout) };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const wrong = (name: string) => ldapToken(name, randomToken());

describe.concurrent('over two replicas', () => {
  test('lockouts lists who is locked out, unlock clears it in each replica, and says who has confirmed', async () => {
    await using place = await start();
    const { people, one, other, json, run } = place;
    const { bob, alice } = people;
    expect((await run(['lockouts'])).stderr).toBe('sallyport: no refused tries are counted in the cache Redis\n');
    const old = wrong('bob');
    for (const [replica, token] of [
      [one, old],
      [other, wrong('bob')],
      [one, wrong('bob')],
      [other, wrong('alice')],
    ] as const) {
      expect(await replica.ask(token)).toEqual(refused);
    }
    for (const replica of [one, other]) expect(await replica.ask(bob.token)).toEqual(refused);
    const common = { authenticator: 'corp', until: expect.any(String) };
    expect((await json.call(place, 'lockouts')).lockouts).toEqual([
      { ...common, user: 'corp:alice', subject: alice.dn, refused: 1, lockedOut: false },
      { ...common, user: 'corp:bob', subject: bob.dn, refused: 3, lockedOut: true },
    ]);
    const table = await run(['lockouts']);
    expect(table.stdout).toMatch(/corp:bob +corp +3 of 3 +locked out +\d{4}-/);
    for (const replica of [one, other]) expect(await replica.metric('sallyport_lockout_subjects')).toBe(1);

    const before = await place.binds(bob.dn);
    expect(before).toBe(maxFailures);
    const done = await run(['unlock', '--user', 'corp:bob', '--reason', 'new password']);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toMatch(/^forgot 3 refused tries of user corp:bob with authenticator corp\.\n/);
    expect(done.stdout).toContain('confirmed by 2 of 2 replicas.\n');
    for (const replica of [one, other]) {
      expect(await replica.metric('sallyport_lockout_subjects')).toBe(0);
      expect(await replica.ask(bob.token)).toHaveProperty('user.username', 'corp:bob');
    }
    // Also one that was refused before goes out again.
    expect(await one.ask(old)).toEqual(refused);
    expect(await place.binds(bob.dn)).toBe(before + 3);
    expect((await json.call(place, 'lockouts')).lockouts.map((each: { user: string }) => each.user)).toEqual([
      'corp:alice',
      'corp:bob',
    ]);
  });

  test('unlock of a user without refused tries exits 3, and of what replicas counted alone clears it all the same', async () => {
    await using place = await start();
    const { people, redis, one, other, run } = place;
    await redis.stop();
    for (const replica of [one, other]) {
      for (let time = 0; time < maxFailures; time++) expect(await replica.ask(wrong('bob'))).toEqual(refused);
      expect(await replica.ask(people.bob.token)).toEqual(refused);
    }
    const said = (words: string) =>
      Promise.all(
        [one, other].map(({ gateway }) => gateway.output.waitForLine(({ msg }) => msg.startsWith(words), words)),
      );
    await said('cut off from the revocation list');
    await redis.start();
    await said('the revocation list is read again');
    expect(await one.ask(people.bob.token)).toEqual(refused);
    const { code, stdout } = await run(['unlock', '--user', 'corp:bob']);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^no refused tries of user corp:bob .*\nconfirmed by 2 of 2 replicas\.\n$/s);
    for (const replica of [one, other]) {
      expect(await replica.ask(people.bob.token)).toHaveProperty('user.username', 'corp:bob');
    }
  });

  test('unlock that a replica has not confirmed exits 1, and without a user 2', async () => {
    await using place = await start();
    const { one, other, run } = place;
    expect(await one.ask(wrong('bob'))).toEqual(refused);
    other.gateway.signal('SIGSTOP');
    const some = await run(['unlock', '--user', 'corp:bob', '--wait', '1s']);
    other.gateway.signal('SIGCONT');
    expect(some.code).toBe(1);
    expect(some.stdout).toContain('confirmed by 1 of 2 replicas.\n');
    expect(some.stderr).toContain('not confirmed by');
    expect(await run(['unlock'])).toMatchObject({ code: 2, stderr: expect.stringContaining("'--user <name>'") });
    for (const words of [['unlock'], ['explain']]) {
      const { code, stdout, stderr } = await run([...words, '--user', 'bob']);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/--user bob begins with no prefix of this config.*\n {2}--user corp:bob\n/s);
    }
    expect(await run(['unlock', '--user', 'bob', '--exact'])).toMatchObject({ code: 3 });
  });

  test('explain says throttled when the fleet would, sends nothing then, and counts nothing', async () => {
    await using place = await start();
    const { people, one, other, json } = place;
    const { bob, alice } = people;
    const answerTo = async (token: string) => {
      const { code, stdout } = await place.run(['explain', '-o', 'json'], token);
      return [code, JSON.parse(stdout).authenticators[0].reason];
    };
    const known = wrong('bob');
    expect(await one.ask(known)).toEqual(refused);
    for (const replica of [other, one]) expect(await replica.ask(wrong('bob'))).toEqual(refused);
    expect(await answerTo(bob.token)).toEqual([3, 'throttled']);
    expect(await answerTo(known)).toEqual([3, 'invalid-credentials']);
    expect(await place.binds(bob.dn)).toBe(maxFailures);
    expect((await json.call(place, 'lockouts')).lockouts).toMatchObject([{ user: 'corp:bob', refused: 3 }]);
    // A password that a replica knows to be right goes out.
    expect(await one.ask(alice.token)).toHaveProperty('authenticated', true);
    for (let time = 0; time < maxFailures; time++) expect(await other.ask(wrong('alice'))).toEqual(refused);
    expect(await answerTo(alice.token)).toEqual([0, 'corp:alice']);
    expect((await json.call(place, 'lockouts')).lockouts).toMatchObject([{ user: 'corp:alice', refused: 3 }, {}]);
  });
});

test.each(['lockouts', 'unlock'])(
  'without cache.redis, %s says where the counts are and how long they last',
  async (verb) => {
    await using place = await start(false);
    const { code, stderr } = await place.run(verb === 'unlock' ? [verb, '--user', 'corp:bob'] : [verb]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/needs cache\.redis.*in its memory, and no command reaches them.*lockout\.window \(10m\)/);
  },
);

import { join } from 'node:path';
import { ldapToken, startPeople } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sealingKey, startCacheReplicas, withRedisTimeout } from './testing/cache-gateway.ts';
import { runCommand } from './testing/command.ts';
import { addCrowd } from './testing/ldap-crowd.ts';

const refused = { authenticated: false };
const maxFailures = 3;

/** Starts two replicas in front of one directory, and commands with the config of one of them. */
async function start() {
  await using resources = new AsyncDisposableStack();
  const people = resources.use(await startPeople());
  const redis = resources.use(await startRedis());
  const authenticators = [people.authenticator()];
  const shared = { redis: { url: redis.url }, keys: [sealingKey()] };
  const { replicas } = resources.use(
    await startCacheReplicas(2, { authenticators, files: people.files, ...shared }),
  );
  const [one, other] = replicas;
  if (one === undefined || other === undefined) throw new Error('there must be two');
  const owned = resources.move();
  const env = { SALLYPORT_CONFIG: join(one.gateway.folder, 'gateway.yaml') };
  return {
    ...{ redis, one, other },
    /** Adds two users who are in no other test. */
    async newUsers(prefix: string) {
      const crowd = await addCrowd(people, prefix, 2);
      const [alice, bob] = crowd.map((user) => ({
        ...user,
        dn: `uid=${user.name},ou=people,${people.slapd.suffix}`,
      }));
      if (alice === undefined || bob === undefined) throw new Error('there must be two');
      return { alice, bob };
    },
    run: (words: readonly string[], input = '') =>
      runCommand(words, { cwd: one.gateway.folder, env }, input),
    binds: async (dn: string) => (await people.slapd.operations()).bindsByDn.get(dn) ?? 0,
    /** Lists the lockouts of these users. */
    async lockouts(prefix: string) {
      const { lockouts } = JSON.parse((await this.run(['lockouts', '-o', 'json'])).stdout);
      return lockouts.filter(({ user }: { user: string }) => user.startsWith(`corp:${prefix}`));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const wrong = (name: string) => ldapToken(name, randomToken());

let place: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  place = await start();
});
afterAll(() => place[Symbol.asyncDispose]());

test('lockouts lists who is locked out, unlock clears it in each replica, and says who has confirmed', async () => {
  const { one, other, run } = place;
  const { alice, bob } = await place.newUsers('listed');
  const old = wrong(bob.name);
  const subjects = () =>
    Promise.all([one, other].map(({ metric }) => metric('sallyport_lockout_subjects')));
  const lockedBefore = await subjects();
  for (const [replica, token] of [
    [one, old],
    [other, wrong(bob.name)],
    [one, wrong(bob.name)],
    [other, wrong(alice.name)],
  ] as const) {
    expect(await replica.ask(token)).toEqual(refused);
  }
  for (const replica of [one, other]) expect(await replica.ask(bob.token)).toEqual(refused);
  const table = await run(['lockouts']);
  expect(table.stdout).toMatch(new RegExp(`corp:${alice.name} +corp +1 of 3 +counting +\\d{4}-`));
  expect(table.stdout).toMatch(new RegExp(`corp:${bob.name} +corp +3 of 3 +locked out +\\d{4}-`));
  expect(await subjects()).toEqual(lockedBefore.map((count) => count + 1));

  const before = await place.binds(bob.dn);
  expect(before).toBe(maxFailures);
  const done = await run(['unlock', '--user', `corp:${bob.name}`, '--reason', 'new password']);
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout.split('\n')[0]).toBe(
    `forgot 3 refused attempts of user corp:${bob.name} with authenticator corp.`,
  );
  expect(done.stdout).toContain('confirmed by 2 of 2 replicas.\n');
  expect(await subjects()).toEqual(lockedBefore);
  for (const replica of [one, other]) {
    expect(await replica.ask(bob.token)).toHaveProperty('user.username', `corp:${bob.name}`);
  }
  // Even a password that was refused before is sent again.
  expect(await one.ask(old)).toEqual(refused);
  expect(await place.binds(bob.dn)).toBe(before + 3);
  const common = { authenticator: 'corp', until: expect.any(String), refused: 1, lockedOut: false };
  expect(await place.lockouts('listed')).toEqual([
    { ...common, user: `corp:${alice.name}`, subject: alice.dn },
    { ...common, user: `corp:${bob.name}`, subject: bob.dn },
  ]);
});

test('unlock of a user without refused attempts exits 3, and of what replicas counted alone clears it all the same', async () => {
  const { redis, one, other, run } = place;
  const { bob } = await place.newUsers('alone');
  // This removes the lockouts of other tests.
  await redis.client().del('none', ...(await redis.client().keys('sallyport:lockout:*')));
  await using _ = await withRedisTimeout('1s', [place.one, place.other], place.redis);
  const from = [one, other].map(({ gateway }) => gateway.output.lines.length);
  expect((await run(['lockouts'])).stderr).toBe(
    'sallyport: no refused attempts are counted in the cache Redis\n',
  );
  await redis.stop();
  for (const replica of [one, other]) {
    for (let time = 0; time < maxFailures; time++)
      expect(await replica.ask(wrong(bob.name))).toEqual(refused);
    expect(await replica.ask(bob.token)).toEqual(refused);
  }
  const said = (words: string) =>
    Promise.all(
      [one, other].map(({ gateway: { output } }, index) =>
        output.waitForLine(({ msg }) => msg.startsWith(words), words, from[index]),
      ),
    );
  await said('cut off from the revocation list');
  await redis.start();
  await said('the revocation list is read again');
  expect(await one.ask(bob.token)).toEqual(refused);
  const { code, stdout } = await run(['unlock', '--user', `corp:${bob.name}`]);
  expect(code).toBe(3);
  expect(stdout).toMatch(
    /^no refused attempts of user corp:alone1 .*\nconfirmed by 2 of 2 replicas\.\n$/s,
  );
  for (const replica of [one, other]) {
    expect(await replica.ask(bob.token)).toHaveProperty('user.username', `corp:${bob.name}`);
  }
});

test('a user whom Redis no longer names is listed again when they are refused, and can be unlocked', async () => {
  const { redis, one } = place;
  const { bob } = await place.newUsers('unnamed');
  for (let time = 0; time < maxFailures; time++)
    expect(await one.ask(wrong(bob.name))).toEqual(refused);
  const untilListed = () => expect.poll(() => place.lockouts('unnamed')).toHaveLength(1);
  await untilListed();
  // As after a restart with a part of its data.
  await redis.client().del(await redis.client().keys('sallyport:lockout:{names}:*'));
  expect(await place.lockouts('unnamed')).toEqual([]);
  expect(await one.ask(bob.token)).toEqual(refused);
  await untilListed();
  expect(await place.run(['unlock', '--user', `corp:${bob.name}`])).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect(await one.ask(bob.token)).toHaveProperty('user.username', `corp:${bob.name}`);
});

test('unlock that a replica has not confirmed exits 1', async () => {
  const { one, other, run } = place;
  const { bob } = await place.newUsers('halted');
  expect(await one.ask(wrong(bob.name))).toEqual(refused);
  const unlock = ['unlock', '--user', `corp:${bob.name}`];
  other.gateway.signal('SIGSTOP');
  const some = await run([...unlock, '--wait', '1s']).finally(() =>
    other.gateway.signal('SIGCONT'),
  );
  expect(some.code).toBe(1);
  expect(some.stdout).toContain('confirmed by 1 of 2 replicas.\n');
  expect(some.stderr).toContain('not confirmed by');
  expect(await run([...unlock, '--wait', '30s'])).toMatchObject({ code: 3, stderr: '' });
});

test('explain says throttled when the fleet would, sends nothing then, and counts nothing', async () => {
  const { one, other } = place;
  const { alice, bob } = await place.newUsers('asked');
  const answerTo = async (token: string) => {
    const { code, stdout } = await place.run(['explain', '-o', 'json'], token);
    const { authenticators, lockouts, steps } = JSON.parse(stdout);
    expect(lockouts).toEqual(
      code === 0 ? [] : [expect.objectContaining({ user: `corp:${bob.name}`, refused: 3 })],
    );
    return [code, authenticators[0].reason, code === 0 ? '' : steps.at(-1).step];
  };
  const known = wrong(bob.name);
  expect(await one.ask(known)).toEqual(refused);
  for (const replica of [other, one]) expect(await replica.ask(wrong(bob.name))).toEqual(refused);
  const notSent = 'the password was not sent: ';
  const others = `${notSent}too many others of this user were refused`;
  expect(await answerTo(bob.token)).toEqual([3, 'throttled', others]);
  const before = expect.stringMatching(
    new RegExp(`^${notSent}it was refused (just now|\\d+s ago)$`),
  );
  expect(await answerTo(known)).toEqual([3, 'invalid-credentials', before]);
  const { stdout } = await place.run(['explain'], known);
  expect(stdout).toMatch(
    /\nREFUSED ATTEMPTS\nlocked out: 3 refused attempts with corp, until \S+Z\. To forget them now: /,
  );
  expect(stdout).toContain(` unlock --user corp:${bob.name} --config `);
  expect(await place.binds(bob.dn)).toBe(maxFailures);
  // A password that a replica knows to be right goes out.
  expect(await one.ask(alice.token)).toHaveProperty('authenticated', true);
  for (let time = 0; time < maxFailures; time++)
    expect(await other.ask(wrong(alice.name))).toEqual(refused);
  expect(await answerTo(alice.token)).toEqual([0, `corp:${alice.name}`, '']);
  expect(await place.lockouts('asked')).toMatchObject([
    { user: `corp:${alice.name}`, refused: 3, lockedOut: true },
    { user: `corp:${bob.name}`, refused: 3, lockedOut: true },
  ]);
});

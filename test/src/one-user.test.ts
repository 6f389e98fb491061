import { randomUUID } from 'node:crypto';
import { ldapToken, startPeople } from '@sallyport/test-servers/people';
import { randomToken } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { startGateway } from './testing/gateway.ts';
import { addCrowd, type Member } from './testing/ldap-crowd.ts';
import { scrape } from './testing/scrape.ts';

/**
 * The timeouts end no lookup, whatever the machine is busy with. The attack does not cause a late lookup. It is wider than
 * `maxConcurrent`, and needs no more connections than a busy machine serves in time: `one-user.load.ts` has wider ones.
 */
const corp = { options: { serverTimeout: '9s' }, entry: { timeout: '28s', maxConcurrent: 16 } };
const attackWidth = 40;
const maxFailures = 3;

const resources = new AsyncDisposableStack();
const start = async () => {
  const people = resources.use(await startPeople());
  const config = {
    server: { reviewTimeout: '29s' },
    lockout: { maxFailures },
    authenticators: [people.authenticator(corp)],
  };
  const gateway = resources.use(await startGateway({ config, files: people.files }));
  return { people, gateway, client: resources.use(http1Client(gateway.url, undefined, 200)) };
};
let place: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  place = await start();
});
afterAll(() => resources.disposeAsync());

/** Logs everyone in while the attack is in progress. */
async function logInBeside(attack: readonly string[], crowd: readonly Member[]): Promise<void> {
  const { client, gateway } = place;
  const guesses = attack.map((token) => review(client, token));
  const status = (name: string) => ({ authenticated: true, user: { username: `corp:${name}` } });
  for (const { name, token } of crowd)
    expect(await review(client, token)).toMatchObject(status(name));
  for (const { authenticated } of await Promise.all(guesses)) expect(authenticated).toBe(false);
  const { value } = await scrape(gateway);
  expect(value('sallyport_authenticator_circuit_state{authenticator="corp"}')).toBe(0);
  expect(gateway.output.text()).not.toContain('circuit opened');
}

test('one name that is guessed forty times concurrently reaches the directory a few times, and keeps no one out', async () => {
  const { people } = place;
  const crowd = await addCrowd(people, 'person', 10);
  const victim = await people.add('mallory');
  // The directory considers these names the same.
  const names = ['mallory', 'MALLORY', ' mallory ', 'mALLORY'];
  const attack = Array.from({ length: attackWidth }, (_, n) =>
    ldapToken(names[n % names.length] as string, randomToken()),
  );
  await logInBeside(attack, crowd);
  expect((await people.slapd.operations()).bindsByDn.get(victim.dn)).toBeLessThanOrEqual(
    maxFailures,
  );
});

test('a flood of made-up names keeps out neither those who logged in before nor those who come for the first time', async () => {
  const { people, client } = place;
  const [known, newUsers] = [
    await addCrowd(people, 'known', 10),
    await addCrowd(people, 'new-user', 10),
  ];
  for (const { token } of known)
    expect(await review(client, token)).toMatchObject({ authenticated: true });
  const attack = Array.from({ length: attackWidth }, () => ldapToken(randomUUID(), randomToken()));
  await logInBeside(attack, [...known, ...newUsers]);
});

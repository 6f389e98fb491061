import { ldapToken, startPeople } from '@sallyport/test-servers/people';
import { randomToken } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http1Client } from './testing/clients.ts';
import { startGateway } from './testing/gateway.ts';
import {
  addCrowd,
  addSlowUser,
  type Logins,
  logInEach,
  startGuessing,
} from './testing/ldap-crowd.ts';
import { median } from './testing/median.ts';
import { scrape } from './testing/scrape.ts';

/** Milliseconds of an attack: longer than the deadline of a whole login, which is 3 s. */
const duration = 4_000;

/** The promise is twice the usual time. A busy machine gets five times that. */
const slowest = 2 * 5;

function inFigures({ asked, passed, times }: Logins): string {
  const at = (share: number) =>
    `${Math.round(times[Math.floor(times.length * share)] ?? Number.NaN)} ms`;
  return `${passed} of ${asked} passed, median ${at(0.5)}, 95 % ${at(0.95)}`;
}

/** One gateway and its people, for all tests: each attack ends with its test. */
const resources = new AsyncDisposableStack();
const startCrowd = async () => {
  const people = resources.use(await startPeople());
  const crowd = await addCrowd(people, 'person', 40);
  const gateway = resources.use(
    await startGateway({
      config: {
        authenticators: [
          people.authenticator({ options: { serverTimeout: '1s' }, entry: { timeout: '3s' } }),
        ],
      },
      files: people.files,
    }),
  );
  const client = resources.use(http1Client(gateway.url));
  return {
    people,
    crowd,
    gateway,
    client,
    usual: () => logInEach(client, crowd, counted(crowd.length)),
  };
};

let place: Awaited<ReturnType<typeof startCrowd>>;
beforeAll(async () => {
  place = await startCrowd();
});
afterAll(() => resources.disposeAsync());

const counted = (count: number) => () => count-- <= 0;
const until = (end: number) => () => performance.now() > end;

test.each([
  {
    guesses: 'a password hash of very many rounds and 20 attempts at a time',
    name: 'mallory',
    rounds: 3_000_000,
    width: 20,
  },
  {
    guesses: 'an ordinary password hash and 100 attempts at a time',
    name: 'mallet',
    rounds: 5_000,
    width: 100,
  },
])(
  'one person with $guesses opens no circuit and keeps no one out',
  async ({ name, rounds, width }) => {
    const { people, crowd, gateway, client } = place;
    const usual = await place.usual();
    const { password } = await addSlowUser(people, name, rounds);
    using attacker = http1Client(gateway.url, undefined, width);
    // The passwords are wrong and right, under names that the directory considers the same.
    const names = [name, name.toUpperCase(), ` ${name} `, `m${name.slice(1).toUpperCase()}`];
    const attack = startGuessing(attacker, width, (worker) =>
      ldapToken(
        names[worker % names.length] as string,
        worker % 5 === 0 ? password : randomToken(),
      ),
    );
    const others = await logInEach(client, crowd, until(performance.now() + duration));
    const { value } = await scrape(gateway);
    await attack.stop();
    const figures = [`usual: ${inFigures(usual)}`, `beside the attack: ${inFigures(others)}`];
    console.info([...figures, `the attacker: ${JSON.stringify(attack.answers())}`].join('\n'));
    expect(value('sallyport_authenticator_circuit_state{authenticator="corp"}')).toBe(0);
    expect(gateway.output.text().includes('circuit opened')).toBe(false);
    expect(others.passed / others.asked).toBeGreaterThanOrEqual(0.95);
    expect(median(others.times)).toBeLessThan(slowest * median(usual.times));
  },
);

test('a flood of made-up names keeps out neither those who logged in before nor those who come for the first time', async () => {
  const { people, crowd, gateway, client } = place;
  const usual = await place.usual();
  const newUsers = await addCrowd(people, 'new-user', 200);
  using attacker = http1Client(gateway.url, undefined, 150);
  using first = http1Client(gateway.url);
  const attack = startGuessing(attacker, 150, () => ldapToken(randomToken(), randomToken()));
  const end = performance.now() + duration;
  const [known, fresh] = await Promise.all([
    logInEach(client, crowd, until(end)),
    logInEach(first, newUsers, until(end)),
  ]);
  await attack.stop();
  const { value } = await scrape(gateway);
  const figures = [
    `usual: ${inFigures(usual)}`,
    `known: ${inFigures(known)}`,
    `new: ${inFigures(fresh)}`,
  ];
  console.info([...figures, `the flood: ${JSON.stringify(attack.answers())}`].join('\n'));
  expect(value('sallyport_authenticator_circuit_state{authenticator="corp"}')).toBe(0);
  expect(known.passed / known.asked).toBeGreaterThanOrEqual(0.95);
  expect(fresh.passed / fresh.asked).toBeGreaterThanOrEqual(0.95);
});

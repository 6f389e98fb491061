import { setTimeout as pause } from 'node:timers/promises';
import { startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { readTrailSoFar } from './testing/audit-trail.ts';
import { writeFactor } from './testing/factor-records.ts';
import { startLogin } from './testing/login-gateway.ts';

const guesses = Number(process.env.GUESSES ?? 10_000);
/** Guesses at a time: most of them only wait for the answer, which takes a multiple of 500 ms. */
const width = 100;
const maxFailures = 3;
/** The window of the lockout guard, in seconds. */
const window = 30;

/** With letters, none is right by chance. */
const wrongCode = (number: number) => `no${number}`;

test(`of ${guesses} codes at three replicas, the guard lets few be compared, and the owner gets in afterwards`, async () => {
  await using factors = await startRedis();
  await using place = await startLogin({
    count: 3,
    login: {
      maxSessions: 100,
      limits: { perAddress: '10/m', inFlight: 1_000 },
      trustedProxies: ['127.0.0.9'],
    },
    secondFactor: { required: 'all', redis: { url: factors.url } },
    more: {
      audit: { output: 'audit.log' },
      lockout: { maxFailures, window: `${window}s` },
    },
  });
  const { people, replicas } = place;
  const { alice: owner } = people;
  const key = replicas.operator.env.SALLYPORT_CACHE_KEY ?? '';
  const app = await writeFactor(factors, key, owner);
  const logIn = async ({ name, password }: typeof owner, code: string, from: string, at = 0) => {
    const body = { username: name, password, cluster: 'prod', code };
    const headers = { 'x-forwarded-for': from };
    const request = { body, headers, localAddress: '127.0.0.9' };
    return (await place.ask(request, at)).status;
  };
  const statuses = new Map<number, number>();
  let sent = 0;
  /** Guesses until there are enough, each from another address. */
  const guess = async () => {
    while (sent < guesses) {
      const number = sent++;
      const from = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
      const status = await logIn(owner, wrongCode(number), from, number % 3);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  const begun = performance.now();
  const attack = Promise.all(Array.from({ length: width }, guess));
  let isOver = false;
  const over = attack.finally(() => {
    isOver = true;
  });

  // Others log in at the same time: each second another one, with their first code.
  const others: number[] = [];
  const served = async () => {
    for (let index = 0; !isOver; index += 1) {
      const person = await people.add(`other-${index}`);
      const { code } = await writeFactor(factors, key, person);
      others.push(await logIn(person, await code(), '192.0.2.1', index % 3));
      await pause(1_000);
    }
  };
  const [seconds] = await Promise.all([
    over.then(() => (performance.now() - begun) / 1000),
    served(),
  ]);

  const trails = await Promise.all(replicas.gateways.map(({ folder }) => readTrailSoFar(folder)));
  const reasons = trails
    .flat()
    .filter(({ username }) => username === 'corp:alice')
    .map(({ reason }) => String(reason));
  const count = (reason: string) => reasons.filter((one) => one === reason).length;
  const compared = count('second-factor-invalid-credentials');
  const windows = Math.ceil(seconds / window) + 1;
  console.log(
    `${sent} codes in ${seconds.toFixed()} s: answers ${JSON.stringify(Object.fromEntries(statuses))}; ` +
      `${compared} compared, ${count('second-factor-throttled')} not; ${others.length} others logged in`,
  );
  expect(statuses.get(201)).toBeUndefined();
  expect(compared).toBeGreaterThan(0);
  expect(compared).toBeLessThanOrEqual(maxFailures * windows);
  expect(others.filter((status) => status !== 201)).toEqual([]);

  // The owner waits for the window: a code that was not compared is not used up.
  const isIn = async () => (await logIn(owner, await app.code(), '192.0.2.2')) === 201;
  await waitFor(isIn, 'the owner to log in after the window');

  // Someone begins again. This time, an administrator helps.
  for (let number = 0; number < 2 * maxFailures; number += 1)
    await logIn(owner, wrongCode(number), '192.0.2.3', number % 3);
  const [first = '', second = ''] = app.recoveryCodes;
  expect(await logIn(owner, first, '192.0.2.2', 1)).toBe(401);
  const unlocked = await replicas.operator.run(['unlock', '--user', 'corp:alice']);
  expect([unlocked.code, unlocked.stderr]).toEqual([0, '']);
  expect([
    await logIn(owner, first, '192.0.2.2', 1),
    await logIn(owner, second, '192.0.2.2', 2),
  ]).toEqual([201, 201]);
});

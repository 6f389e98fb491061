import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { runLdapTool, tryBind } from '@sallyport/test-servers/ldap-tools';
import type { People } from '@sallyport/test-servers/people';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import type { CrowdLogin, CrowdMessage, CrowdResult } from './bench/login-crowd.ts';
import { startWorker } from './bench/worker.ts';
import { http1Client } from './testing/clients.ts';
import type { Gateway } from './testing/gateway.ts';
import { loginUrlOf, publicHost, startLogin } from './testing/login-gateway.ts';
import {
  addPeople,
  address,
  askInPairs,
  type Clients,
  describeReviews,
  inFigures,
  kinds,
  noise,
  type Person,
  slowdown,
} from './testing/login-storm.ts';
import { scrape } from './testing/scrape.ts';

/** The aim: no review takes twice its usual time. */
const aim = 2;

/** At slapd, three wrong passwords lock an account forever. */
const lockout = { maxFailures: 2 };
/** The limits are far below the number of logins that come together. */
const limits = { inFlight: 10 };
const maxUserBinds = 6;

/** The DNs of those people for whom slapd has this attribute, with how many values it has. */
async function having({ slapd }: People, attribute: string): Promise<ReadonlyMap<string, number>> {
  const words = [
    '-LLL',
    '-o',
    'ldif-wrap=no',
    '-b',
    `ou=people,${slapd.suffix}`,
    `(${attribute}=*)`,
    attribute,
  ];
  const { code, stdout, stderr } = await runLdapTool(
    'ldapsearch',
    { url: slapd.url, ...slapd.service },
    words,
  );
  if (code !== 0) throw new Error(`ldapsearch failed with ${code}: ${stderr}`);
  const entries = stdout.split('\n\n').filter((entry) => entry.startsWith('dn: '));
  return new Map(
    entries.map((entry) => [
      /^dn: (.*)$/m.exec(entry)?.[1] ?? '',
      entry.split(`\n${attribute}: `).length - 1,
    ]),
  );
}

const rightLogin = ({ name, password }: Person, index: number): CrowdLogin => {
  return { username: name, password, address: address(index) };
};

interface Planned extends CrowdLogin {
  readonly isRight: boolean;
}

/**
 * 1,000 logins of 500 people: 380 log in once; 80 also mistype; 20, who have logged in before, do so while others guess their passwords; and
 * of 20 who are not there, passwords are guessed. The guesses come from 115 machines, so that no limit of an address stops them.
 */
function planLogins(people: readonly Person[]): readonly Planned[] {
  let guesses = 0;
  const right = (person: Person, index: number): Planned => ({
    ...rightLogin(person, index),
    isRight: true,
  });
  const wrong = ({ name }: Person, from: string): Planned => {
    return { username: name, password: randomToken(), address: from, isRight: false };
  };
  const guess = (person: Person) => wrong(person, address(1_000 + (guesses++ >> 2)));
  const times = (count: number, make: () => Planned) => Array.from({ length: count }, make);
  const all = people.flatMap((person, index) => {
    if (index < 20) return [...times(19, () => guess(person)), right(person, index)];
    if (index < 40) return times(3, () => guess(person));
    return index < 120
      ? [wrong(person, address(index)), right(person, index)]
      : [right(person, index)];
  });
  // The logins come in any order: no kind before another.
  const order = randomBytes(4 * all.length);
  return all
    .map((login, index) => ({ login, at: order.readUInt32LE(4 * index) }))
    .sort((one, other) => one.at - other.at)
    .map(({ login }) => login);
}

/** A gateway at which people log in, and another one that shares everything else with it. */
async function start() {
  await using resources = new AsyncDisposableStack();
  const authority = resources.use(await createAuthority('login-authority'));
  const { certificate, key } = await authority.issueServer();
  const robot = randomToken();
  const place = resources.use(
    await startLogin({
      count: 2,
      login: { limits, tls: { certFile: 'tls/login.crt', keyFile: 'tls/login.key' } },
      options: { maxUserBinds },
      others: [staticAuthenticator],
      more: { lockout },
      files: {
        'tls/login.crt': certificate,
        'tls/login.key': key,
        'tokens.yaml': tokensFile({ [robot]: 'robot' }),
      },
    }),
  );
  const people = await addPeople(place.people, 500);
  const [busy, quiet] = place.replicas.gateways;
  if (busy === undefined || quiet === undefined) throw new Error('no gateways');
  const crowd = resources.use(startWorker<CrowdMessage, readonly CrowdResult[]>('login-crowd.ts'));
  const logIn = async (logins: readonly CrowdLogin[]) => {
    const where = {
      url: loginUrlOf(busy),
      ca: authority.certificate,
      host: publicHost,
      cluster: 'prod',
    };
    const results = await crowd.ask({ ...where, logins });
    for (const { token } of results) if (token !== undefined) secret(token);
    return results;
  };
  const clients: Clients = {
    busy: resources.use(http1Client(busy.url)),
    quiet: resources.use(http1Client(quiet.url)),
  };
  const owned = resources.move();
  return {
    place,
    people,
    robot,
    busy,
    logIn,
    clients,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Finds the maximum of logins in progress that the metrics show until `isOver`. */
async function watchInFlight(gateway: Gateway, isOver: () => boolean): Promise<number> {
  let max = 0;
  while (!isOver()) {
    const { value } = await scrape(gateway);
    max = Math.max(max, value('sallyport_in_flight_login_requests') ?? Number.NaN);
    await pause(50);
  }
  return max;
}

/** How many logins ended in which way. */
function counted(results: readonly CrowdResult[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const { status, problem } of results) {
    const what = problem === undefined ? `${status}` : `${status}: ${problem}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return Object.fromEntries(counts);
}

test('1,000 concurrent logins of 500 people lock no account, refuse no right password, and hold up no review', async () => {
  await using started = await start();
  const { place, people, robot, busy, logIn, clients } = started;
  const known = await logIn(people.slice(0, 20).map(rightLogin));
  expect(counted(known)).toEqual({ 201: 20 });
  const tokens = { static: robot, session: known[0]?.token ?? '' };
  // The first reviews are slower, since code is compiled.
  await askInPairs(clients, tokens, (pairs) => pairs >= 30);
  const before = await askInPairs(clients, tokens, (pairs) => pairs >= 100);

  const planned = planLogins(people);
  expect(planned.length).toBe(1_000);
  let isOver = false;
  const begun = performance.now();
  const storm = logIn(planned).finally(() => {
    isOver = true;
  });
  const [results, during, inFlight] = await Promise.all([
    storm,
    askInPairs(clients, tokens, () => isOver),
    watchInFlight(busy, () => isOver),
  ]);
  const took = performance.now() - begun;
  const { maxUserConnections, bindsByDn } = await place.people.slapd.operations();

  const [right, wrong] = [true, false].map((kind) =>
    results.filter((_, index) => planned[index]?.isRight === kind),
  );
  const repeats = results.map((result) => result.repeats);
  console.info(
    [
      `in ${(took / 1000).toFixed(1)} s, right: ${JSON.stringify(counted(right ?? []))}, wrong: ${JSON.stringify(counted(wrong ?? []))}`,
      `until the answer: ${inFigures(results.map(({ milliseconds }) => milliseconds))}`,
      `${repeats.filter((count) => count > 0).length} were told to come again, ${Math.max(...repeats)} times at most`,
      `at once: ${inFlight} of ${limits.inFlight} in flight, ${maxUserConnections} of ${maxUserBinds} binds`,
      ...kinds.flatMap((kind) => describeReviews(aim, kind, before[kind], during[kind])),
    ].join('\n'),
  );
  expect(counted(right ?? [])).toEqual({ 201: 480 });
  expect(counted(wrong ?? [])).toEqual({ 401: 520 });
  for (const [max, limit] of [
    [inFlight, limits.inFlight],
    [maxUserConnections, maxUserBinds],
  ] as const) {
    expect(max).toBeLessThanOrEqual(limit);
    // Otherwise this was no load.
    expect(max).toBeGreaterThan(limit / 2);
  }
  for (const kind of kinds) {
    const [usual, now] = [before[kind], during[kind]];
    expect(slowdown(usual, now)).toBeLessThan(5 * Math.max(aim, noise(usual, now)));
  }
  await expectNoLock(place.people, people, bindsByDn);
});

/** No account is locked at slapd, where no one got more attempts than the guard allows; and a lock would be seen. */
async function expectNoLock(
  directory: People,
  people: readonly Person[],
  binds: ReadonlyMap<string, number>,
): Promise<void> {
  expect(await having(directory, 'pwdAccountLockedTime')).toEqual(new Map());
  const attempts = await having(directory, 'pwdFailureTime');
  expect(Math.max(...attempts.values())).toBe(lockout.maxFailures);
  for (const { dn } of people.slice(20, 40)) expect(binds.get(dn)).toBe(lockout.maxFailures);
  const [unlucky] = people.slice(-1);
  const { ldapsUrl: url, caFile } = directory.slapd;
  for (const _ of [1, 2, 3])
    await tryBind({ url, caFile, dn: unlucky?.dn ?? '', password: randomToken() });
  expect([...(await having(directory, 'pwdAccountLockedTime')).keys()]).toEqual([unlucky?.dn]);
}

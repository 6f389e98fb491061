import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { type Authenticator, AuthenticatorError, type Decision } from '@sallyport/authenticator';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { type FaultPlan, type FaultProxy, randomPlans, startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { toLdif } from '@sallyport/test-servers/ldif';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { expect, onTestFinished, test } from 'vitest';
import { createLdapAuthenticator } from './authenticator.ts';
import { connect } from './connection/connection.ts';
import { createDirectory } from './directory/create-directory.ts';
import plugin from './index.ts';
import { tokenOf } from './testing/ldap-options.ts';
import { settled } from './testing/written-options.ts';

const logins = 400;
const concurrency = 8;

/** Milliseconds for one login, some of which meet more silent servers than fit in. */
const deadline = 300;

/** Milliseconds that an answer may come after its deadline; the test fails at five times that. */
const lateness = 50;

interface Tally {
  right: number;
  unchecked: number;
  readonly wrong: string[];
  latest: number;
}

test.each([
  ['ldaps', { port: 'ldapsPort', scheme: 'ldaps', bytes: 8_000, options: {} }],
  ['StartTLS', { port: 'port', scheme: 'ldap', bytes: 8_000, options: { startTLS: true } }],
  ['clear text', { port: 'port', scheme: 'ldap', bytes: 2_000, options: { insecure: true } }],
] as const)(
  `${logins} logins over %s through a network that resets, stalls, cuts, glues and garbles: none wrong, none late, no socket left`,
  async (name, { port, scheme, bytes, options }) => {
    const seed = randomBytes(4).readUInt32BE();
    await using slapd = await startSlapd({ countsOperations: false });
    const people = await addPeople(slapd);
    const isSecure = !('insecure' in options);
    await using one = await badNetwork(slapd[port], { seed, bytes, isSecure });
    await using other = await badNetwork(slapd[port], { seed: seed + 1, bytes, isSecure });
    const authenticator = await createAuthenticator({
      ...options,
      ...(isSecure && { caFile: slapd.caFile }),
      urls: [one, other].map((proxy) => `${scheme}://127.0.0.1:${proxy.port}`),
      order: 'spread',
      serverTimeout: '150ms',
      serverCircuit: { failures: 100, probeInterval: '100ms' },
      bind: slapd.service,
      user: { base: `ou=people,${slapd.suffix}`, filter: '(uid={username})' },
      groups: { base: `ou=groups,${slapd.suffix}`, filter: '(member={dn})' },
      // With the clock below, one second. New connections bring new faults.
      pool: { max: 8, maxAge: '1m' },
    });
    const tally = await logInAll(authenticator, people);
    await authenticator.close();
    await Promise.all([one.untilClosed(), other.untilClosed()]);

    const { right, unchecked, wrong, latest } = tally;
    console.log(
      `${name}, seed ${seed}: ${right} answered, ${unchecked} could not be checked, the latest ${Math.round(latest)} ms after ` +
        `its deadline; ${one.connections + other.connections} connections`,
      one.plans,
    );
    expect(wrong).toEqual([]);
    expect(right + unchecked).toBe(logins);
    // Else the network was so bad that nothing was tried, or so good that nothing failed. How many of the faults reach a
    // login differs widely from seed to seed, since the other server answers in place of a bad one.
    expect(right).toBeGreaterThan(logins / 2);
    expect(harmful(one) + harmful(other)).toBeGreaterThan(20);
    // Without kept connections it is two for each login; while binds wait out a fault on new ones, one.
    expect(one.connections + other.connections).toBeLessThan(1.5 * logins);
    expect(latest).toBeLessThan(5 * lateness);
  },
);

interface Person {
  readonly username: string;
  readonly password: string;
}

async function addPeople({ add, suffix }: Slapd): Promise<readonly Person[]> {
  const people = Array.from({ length: 20 }, (_, index) => ({
    username: `user-${index}`,
    password: randomBytes(18).toString('base64url'),
  }));
  const users = people.map(({ username, password }) => ({
    dn: `uid=${username},ou=people,${suffix}`,
    attributes: { objectClass: ['account', 'simpleSecurityObject'], userPassword: password },
  }));
  const groups = users.map(({ dn }, index) => ({
    dn: `cn=group-${index},ou=groups,${suffix}`,
    attributes: { objectClass: ['groupOfNames'], member: [dn] },
  }));
  await add(toLdif([...users, ...groups]));
  return people;
}

interface Network {
  readonly seed: number;
  /** Where in an exchange faults begin, at most. */
  readonly bytes: number;
  readonly isSecure: boolean;
}

/** Without TLS a request that is garbled on its way is another request, which no one can notice: a wrong password, for example. */
function badNetwork(port: number, { seed, bytes, isSecure }: Network): Promise<FaultProxy> {
  const random = randomPlans({ seed, passing: 0.1, bytes, time: 60 });
  const plan = (): FaultPlan => {
    const next = random();
    return next.kind === 'garbage' && !isSecure ? { ...next, direction: 'to-client' } : next;
  };
  return startFaultProxy({ target: { host: '127.0.0.1', port }, plan });
}

/** How many connections a fault ended. */
function harmful({ plans }: FaultProxy): number {
  const kinds: readonly FaultPlan['kind'][] = ['close', 'reset', 'garbage', 'stall'];
  return kinds.reduce((sum, kind) => sum + (plans[kind] ?? 0), 0);
}

/** With a clock that is fast: a server that fails a second bind on a connection gets only new ones for a minute. */
async function createAuthenticator(written: Record<string, unknown>): Promise<Authenticator> {
  const { context } = recordingContext({ pluginName: plugin.name, baseDirectory: '/' });
  const options = settled(written);
  const authenticator = await createLdapAuthenticator(options, context, (tls) => {
    const now = () => 60 * performance.now();
    return createDirectory({ ...context, options, tls, connect, now, random: Math.random });
  });
  onTestFinished(() => authenticator.close());
  return authenticator;
}

async function logInAll(authenticator: Authenticator, people: readonly Person[]): Promise<Tally> {
  const tally: Tally = { right: 0, unchecked: 0, wrong: [], latest: 0 };
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < logins; index = next++) {
      const person = people[index % people.length] as Person;
      await logIn(authenticator, planned(index, person), tally);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return tally;
}

/** Two right passwords to a wrong one and an unknown name, with what must come of each. */
function planned(index: number, { username, password }: Person): { token: string; expected: Decision } {
  const group = username.replace('user', 'group');
  switch (Math.floor(index / 20) % 4) {
    case 0:
      return {
        token: tokenOf(username, 'a wrong password'),
        expected: { kind: 'rejected', reason: 'invalid-credentials', subject: username },
      };
    case 1:
      return { token: tokenOf(`no-${username}`, password), expected: { kind: 'no-opinion' } };
    default:
      return {
        token: tokenOf(username, password),
        expected: { kind: 'authenticated', user: { username, groups: [group] } },
      };
  }
}

async function logIn(
  authenticator: Authenticator,
  { token, expected }: { token: string; expected: Decision },
  tally: Tally,
): Promise<void> {
  const signal = AbortSignal.timeout(deadline);
  // From the moment at which the signal was aborted: a timer that a busy machine lets wait is not the plugin's.
  let abortedAt = Number.POSITIVE_INFINITY;
  signal.addEventListener('abort', () => {
    abortedAt = performance.now();
  });
  try {
    const decision = await authenticator.authenticate(token, { audiences: [], signal });
    if (JSON.stringify(decision) === JSON.stringify(expected)) tally.right += 1;
    else tally.wrong.push(`expected ${expected.kind}, came ${JSON.stringify(decision)}`);
  } catch (error) {
    if (error === signal.reason || AuthenticatorError.is(error)) tally.unchecked += 1;
    else tally.wrong.push(`thrown: ${error}`);
  }
  tally.latest = Math.max(tally.latest, performance.now() - abortedAt);
}

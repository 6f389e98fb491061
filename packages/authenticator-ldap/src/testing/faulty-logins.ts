import { randomBytes } from 'node:crypto';
import { type Authenticator, AuthenticatorError, type Decision } from '@sallyport/authenticator';
import { recordingContext } from '@sallyport/authenticator/conformance';
import {
  type FaultPlan,
  type FaultProxy,
  randomPlans,
  startFaultProxy,
} from '@sallyport/test-servers/fault-proxy';
import { toLdif } from '@sallyport/test-servers/ldif';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { onTestFinished } from 'vitest';
import { createLdapAuthenticator } from '../authenticator.ts';
import { connectLdap } from '../connection/connection.ts';
import { createDirectory } from '../directory/create-directory.ts';
import plugin from '../index.ts';
import { tokenOf } from '../options/testing/ldap-options.ts';
import { settled } from '../options/testing/written-options.ts';

const concurrency = 8;

/** The transports to the same directory, and after how many bytes faults begin at the latest. */
export const transports = [
  ['ldaps', { port: 'ldapsPort', scheme: 'ldaps', bytes: 8_000, options: {} }],
  ['StartTLS', { port: 'port', scheme: 'ldap', bytes: 8_000, options: { startTLS: true } }],
  ['clear text', { port: 'port', scheme: 'ldap', bytes: 2_000, options: { insecure: true } }],
] as const;

export interface FaultyLogins {
  readonly transport: (typeof transports)[number][1];
  readonly logins: number;
  readonly serverTimeout: string;
  /** Makes the signal of one login. */
  signal(): AbortSignal;
}

interface Tally {
  right: number;
  unchecked: number;
  readonly wrong: string[];
  /** The most milliseconds that an answer came after its signal was aborted. */
  latest: number;
}

/**
 * Logs in through a network that resets, stalls, cuts, glues and garbles, at two servers.
 *
 * @returns when every connection has ended
 */
export async function logInThroughFaults(settings: FaultyLogins) {
  const { transport, logins, serverTimeout } = settings;
  const { port, scheme, bytes, options } = transport;
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
    serverTimeout,
    serverCircuit: { failures: 100, probeInterval: '100ms' },
    bind: slapd.service,
    user: { base: `ou=people,${slapd.suffix}`, filter: '(uid={username})' },
    groups: { base: `ou=groups,${slapd.suffix}`, filter: '(member={dn})' },
    // With the fast clock below this is one second. New connections bring new faults.
    pool: { max: 8, maxAge: '1m' },
  });
  const tally: Tally = { right: 0, unchecked: 0, wrong: [], latest: 0 };
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < logins; index = next++) {
      await logIn(
        authenticator,
        planned(index, people[index % people.length] as Person),
        settings.signal(),
        tally,
      );
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  await authenticator.close();
  await Promise.all([one.untilClosed(), other.untilClosed()]);
  const connections = one.connections + other.connections;
  return { ...tally, seed, connections, harmful: harmful(one) + harmful(other) };
}

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
  readonly bytes: number;
  readonly isSecure: boolean;
}

/**
 * Starts a network with faults. It garbles no request without TLS: that would be another request,
 * which no one can notice, such as one with a wrong password.
 */
function badNetwork(port: number, { seed, bytes, isSecure }: Network): Promise<FaultProxy> {
  const random = randomPlans({ seed, passing: 0.1, bytes, time: 60 });
  const plan = (): FaultPlan => {
    const next = random();
    return next.kind === 'garbage' && !isSecure ? { ...next, direction: 'to-client' } : next;
  };
  return startFaultProxy({ target: { host: '127.0.0.1', port }, plan });
}

/** Counts the connections that a fault ended. */
function harmful({ plans }: FaultProxy): number {
  const kinds: readonly FaultPlan['kind'][] = ['close', 'reset', 'garbage', 'stall'];
  return kinds.reduce((sum, kind) => sum + (plans[kind] ?? 0), 0);
}

/** Creates it with a fast clock: a server that fails a second bind on a connection gets only new ones for a minute. */
async function createAuthenticator(written: Record<string, unknown>): Promise<Authenticator> {
  const { context } = recordingContext({ pluginName: plugin.name, baseDirectory: '/' });
  const options = settled(written);
  const authenticator = await createLdapAuthenticator(options, context, (tls) => {
    const now = () => 60 * performance.now();
    return createDirectory({
      ...context,
      options,
      tls,
      connect: connectLdap,
      now,
      random: Math.random,
    });
  });
  onTestFinished(() => authenticator.close());
  return authenticator;
}

/** Plans two right passwords to a wrong one and an unknown name, with their expected decisions. */
function planned(
  index: number,
  { username, password }: Person,
): { token: string; expected: Decision } {
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
  signal: AbortSignal,
  tally: Tally,
): Promise<void> {
  // The time counts from the abort of the signal: the plugin does not cause the delays of timers on a busy machine.
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

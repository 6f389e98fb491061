import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { toLdif } from '@sallyport/test-servers/ldif';
import type { People } from '@sallyport/test-servers/people';
import { policies } from '@sallyport/test-servers/slapd-configuration';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { clusters } from './ask-login.ts';
import { type Client, review } from './clients.ts';
import { median } from './median.ts';

const run = promisify(execFile);

/** A person in the directory who logs in. */
export interface Person {
  readonly name: string;
  readonly dn: string;
  readonly password: string;
}

/** Adds people with an ordinary hash of their passwords, and a policy that locks accounts. */
export async function addPeople({ slapd }: People, count: number): Promise<readonly Person[]> {
  const people = Array.from({ length: count }, (_, index): Person => {
    return {
      name: `person${index}`,
      dn: `uid=person${index},ou=people,${slapd.suffix}`,
      password: randomToken(),
    };
  });
  const hashing = run('openssl', [
    'passwd',
    '-6',
    '-salt',
    `rounds=1000$${'s'.repeat(16)}`,
    '-stdin',
  ]);
  hashing.child.stdin?.end(people.map(({ password }) => `${password}\n`).join(''));
  const hashes = (await hashing).stdout.trim().split('\n');
  const entries = people.map(({ dn }, index) => ({
    dn,
    attributes: {
      objectClass: ['account', 'simpleSecurityObject'],
      userPassword: `{CRYPT}${secret(hashes[index] ?? '')}`,
      pwdPolicySubentry: policies.lockout,
    },
  }));
  await slapd.add(toLdif(entries));
  return people;
}

/** Makes one address of loopback for each number, as if each were a machine. */
export const address = (number: number): string => `127.77.${number >> 8}.${number & 255}`;

/** The milliseconds of a review at the gateway with the logins, and of the same review at the other gateway. */
export interface Pair {
  readonly busy: number;
  readonly quiet: number;
}

/** The kinds of tokens that are reviewed. */
export const kinds = ['static', 'session'] as const;
export type Measured = Readonly<Record<(typeof kinds)[number], readonly Pair[]>>;
export type Clients = Readonly<Record<keyof Pair, Client>>;

/** Milliseconds from one pair to the next. */
const interval = 20;

/**
 * Asks both gateways the same at the same time, so that both feel what else the machine does. The next pair does not wait for the answers: else
 * a gateway that stands still would be asked once in that time, and one that does not a hundred times.
 */
export async function askInPairs(
  clients: Clients,
  tokens: Readonly<Record<keyof Measured, string>>,
  isOver: (pairs: number) => boolean,
): Promise<Measured> {
  const measured = { static: [] as Pair[], session: [] as Pair[] };
  const ask = async (which: keyof Pair, kind: keyof Measured) => {
    const begun = performance.now();
    const status = await review(clients[which], tokens[kind], 'v1', [clusters.prod.audience]);
    if (!status.authenticated)
      throw new Error(`a ${kind} token was refused: ${JSON.stringify(status)}`);
    return performance.now() - begun;
  };
  const askBoth = async (kind: keyof Measured) => {
    const [busy, quiet] = await Promise.all([ask('busy', kind), ask('quiet', kind)]);
    measured[kind].push({ busy, quiet });
  };
  const asked: Promise<void>[] = [];
  for (let count = 0; !isOver(count); count += 1) {
    asked.push(askBoth(count % 2 === 0 ? 'static' : 'session'));
    await pause(interval);
  }
  await Promise.all(asked);
  return measured;
}

/** How much slower a review is than at the other gateway, compared with how much it was so before. */
export function slowdown(before: readonly Pair[], during: readonly Pair[]): number {
  const usual = (pairs: readonly Pair[]) => median(pairs.map(({ busy, quiet }) => busy / quiet));
  return usual(during) / usual(before);
}

const share = (times: readonly number[], part: number): number =>
  times.toSorted((one, other) => one - other)[Math.floor((times.length - 1) * part)] ?? Number.NaN;

/** How much slower the other gateway has become: that comes from the machine, or from a directory and a Redis that are busy. */
export function noise(before: readonly Pair[], during: readonly Pair[]): number {
  const timesOf = (pairs: readonly Pair[]) => pairs.map(({ quiet }) => quiet);
  const slow = (pairs: readonly Pair[]) => share(timesOf(pairs), 0.95);
  return Math.max(1, slow(during) / slow(before));
}

export const inFigures = (times: readonly number[]): string =>
  [0.5, 0.95, 1]
    .map((part) => `${Math.round(100 * part)} % ${share(times, part).toFixed(1)} ms`)
    .join(', ');

/** Says how much longer reviews take than before, in the middle and at the slow end. */
export function describeRatios(before: readonly Pair[], during: readonly Pair[]): string {
  const ratio = (which: keyof Pair, part: number) => {
    const [usual, now] = [before, during].map((pairs) =>
      share(
        pairs.map((pair) => pair[which]),
        part,
      ),
    ) as [number, number];
    return (now / usual).toFixed(2);
  };
  const both = (which: keyof Pair) => `p50 ${ratio(which, 0.5)}, p99 ${ratio(which, 0.99)}`;
  return `during / before: ${both('busy')}; at the other gateway: ${both('quiet')}`;
}

/** Says in lines how much slower reviews became. @param aim the most that it may be */
export function describeReviews(
  aim: number,
  kind: string,
  before: readonly Pair[],
  during: readonly Pair[],
): readonly string[] {
  const times = (pairs: readonly Pair[], which: keyof Pair) =>
    inFigures(pairs.map((pair) => pair[which]));
  const [factor, machine] = [slowdown(before, during).toFixed(1), noise(before, during).toFixed(1)];
  return [
    `${kind} tokens ${factor} times as slow (aim: ${aim}; the machine: ${machine}); ${during.length} reviews`,
    ...(['busy', 'quiet'] as const).map(
      (which) => `  ${which}: before ${times(before, which)}; during ${times(during, which)}`,
    ),
  ];
}

import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { createFaults } from './directory-faults/faults.ts';
import { type Answer, isSame, isStale, problemOf } from './directory-faults/oracle.ts';
import {
  changeUser,
  lifetimes,
  startWorld,
  type User,
  type World,
} from './directory-faults/world.ts';
import { seededRandom } from './testing/seeded-random.ts';

const minutes = Number(process.env.MINUTES ?? 10);
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1_000_000));

/** The problems that are kept. More would say the same. */
const maxProblems = 20;

/** How many were seen of each kind. */
type Counts = Record<string, number>;

function count(counts: Counts, kind: string): void {
  counts[kind] = (counts[kind] ?? 0) + 1;
}

/** Sends a review, and checks its answer. @returns undefined if there was none */
async function ask(
  { replicas }: World,
  user: User,
  random: () => number,
): Promise<{ readonly kind: string; readonly problem?: string | undefined } | undefined> {
  const replica = replicas[Math.floor(random() * replicas.length)];
  if (replica === undefined) throw new Error('there are two replicas');
  const begin = performance.now();
  const status = await replica
    .review(user.token, 'kubernetes', 'v1', random() < 0.5)
    .catch((error: unknown) => {
      if (/answered 500/.test(String(error))) throw error;
      return undefined;
    });
  if (status === undefined) return undefined;
  const answer: Answer = status.authenticated
    ? (status.user?.groups ?? [])
    : status.error === undefined
      ? 'refused'
      : 'error';
  const review = { answer, begin, end: performance.now() };
  const isOther = status.authenticated && status.user?.username !== user.username;
  const problem = isOther ? 'another user' : problemOf(review, user.versions, lifetimes);
  const isOld = isStale(review, user.versions, lifetimes);
  const kind = typeof answer === 'string' ? answer : isOld ? 'let in, stale' : 'let in';
  return { kind, problem };
}

test(
  'while anything fails, each user is refused, an error, or let in with groups that they had together',
  async () => {
    console.info(`directory-faults: SEED=${seed} MINUTES=${minutes}`);
    // Faults have numbers of their own: their order must not depend on how many reviews were answered.
    const [randomFaults, random] = [seededRandom(seed), seededRandom(seed + 1)];
    await using resources = new AsyncDisposableStack();
    const world = await startWorld(resources, random);
    const [answers, faults, problems]: [Counts, Counts, string[]] = [{}, {}, []];
    const end = performance.now() + minutes * 60_000;
    const isOver = () => performance.now() > end || problems.length >= maxProblems;
    const choose = <One>(some: readonly One[]) => some[Math.floor(random() * some.length)] as One;
    const clients = Array.from({ length: 8 }, async () => {
      while (!isOver()) {
        const user = choose(world.users);
        const answered = await ask(world, user, random);
        count(answers, answered?.kind ?? 'none');
        if (answered?.problem) problems.push(`${user.name}: ${answered.problem}`);
        await sleep(answered === undefined ? 100 : 20);
      }
    });
    const administrators = [0, 1, 2].map(async (at) => {
      const own = world.users.filter((_, index) => index % 3 === at);
      while (!isOver()) {
        await changeUser(world, choose(own), random);
        await sleep(200 + random() * 300);
      }
    });
    const failing = createFaults(world, randomFaults).map(async (own) => {
      while (!isOver()) {
        const fault = own[Math.floor(randomFaults() * own.length)];
        if (fault === undefined) throw new Error('there are faults');
        count(faults, fault.name);
        await fault.begin();
        await sleep(500 + randomFaults() * 14_500);
        await fault.end();
        await sleep(randomFaults() * 8_000);
      }
    });
    await Promise.all([...clients, ...failing, ...administrators]);
    console.info({ answers, faults, plans: world.proxy.plans, mangled: [...world.mangler.done] });
    expect(problems).toEqual([]);
    await waitFor(() => isRecovered(world), 'all answers to be right again');
    for (const kind of ['let in', 'let in, stale', 'refused', 'error'])
      expect(answers[kind] ?? 0).toBeGreaterThan(minutes);
  },
  (minutes + 5) * 60_000,
);

/** Whether both replicas show what the directory contains now, of each user. */
async function isRecovered({ replicas, users }: World): Promise<boolean> {
  for (const { number } of replicas) {
    for (const { token, versions } of users) {
      const last = versions.at(-1);
      const status = await replicas[number]?.review(token, 'kubernetes', 'v1', true);
      const isRight = last?.isLocked
        ? status?.authenticated === false && status.error === undefined
        : last !== undefined && isSame(last.groups, status?.user?.groups ?? []);
      if (!isRight) return false;
    }
  }
  return true;
}

import type { UserInfo } from '@sallyport/authenticator';
import type { ChainObserver } from '../chain/chain.ts';
import type { IdentityConfig } from '../config/types.ts';
import { printable } from '../logging/printable.ts';
import { printTable } from './output.ts';

/** One group on its way from the backend to Kubernetes. */
interface GroupRow {
  /** As the backend names it. */
  readonly group: string;
  /** As Kubernetes sees it. Left out: `groups.allow` leaves the group out. */
  readonly name?: string;
}

/** The groups of one user, as one authenticator has them. */
export interface GroupsOf {
  readonly authenticator: string;
  /** As Kubernetes sees them. */
  readonly username: string;
  readonly groups: readonly GroupRow[];
}

interface Step {
  readonly authenticator: string;
  readonly step: string;
}

/** What was seen on the way to a decision. */
export interface Observed extends ChainObserver {
  readonly groups: readonly GroupsOf[];
  readonly steps: readonly Step[];
}

export function createObserver(authenticators: readonly (IdentityConfig & { readonly name: string })[]): Observed {
  const groups: GroupsOf[] = [];
  const steps: Step[] = [];
  return {
    groups,
    steps,
    onStep(authenticator, step) {
      // A late step of a call that was given up may come at any time.
      steps.push({ authenticator, step: String(step) });
    },
    onNames(authenticator, given, named) {
      const prefix = authenticators.find(({ name }) => name === authenticator)?.groups.prefix ?? '';
      groups.push({ authenticator, username: named.username, groups: groupRows(given, named, prefix) });
    },
  };
}

function groupRows(given: UserInfo, named: UserInfo, prefix: string): readonly GroupRow[] {
  const allowed = new Set(named.groups);
  return [...new Set(given.groups)].map((group) => {
    const name = prefix + group;
    return allowed.has(name) ? { group, name } : { group };
  });
}

export function printGroups(all: readonly GroupsOf[]): void {
  for (const { authenticator, username, groups } of all) {
    process.stdout.write(`\nGROUPS of ${printable(username)}, from authenticator ${authenticator}\n`);
    if (groups.length === 0) process.stdout.write('none: the backend names none\n');
    else {
      const rows = groups.map(({ group, name }) => [group, name ?? 'left out by groups.allow']);
      printTable(
        ['BACKEND', 'KUBERNETES'],
        rows.map((row) => row.map(printable)),
      );
    }
  }
}

export function printSteps(steps: readonly Step[]): void {
  if (steps.length === 0) return;
  process.stdout.write('\nSTEPS\n');
  for (const { authenticator, step } of steps) process.stdout.write(`${authenticator}: ${printable(step)}\n`);
}

/** The same in JSON. */
export function observedJson({ groups, steps }: Pick<Observed, 'groups' | 'steps'>): object {
  return {
    groups: groups.map(({ authenticator, username, groups: rows }) => ({
      ...{ authenticator, username },
      backend: rows.map(({ group }) => group),
      leftOut: rows.flatMap(({ group, name }) => (name === undefined ? [group] : [])),
      final: rows.flatMap(({ name }) => name ?? []),
    })),
    steps,
  };
}

import type { Credential } from '@sallyport/authenticator';
import type { ChainObserver } from '../chain/chain.ts';
import type { IdentityConfig } from '../config/types.ts';
import { printable } from '../logging/printable.ts';
import { printTable } from './output.ts';

/** The groups of one user, as one authenticator has them. */
interface GroupsOf {
  readonly authenticator: string;
  /** As Kubernetes sees them. */
  readonly username: string;
  /** Each as the backend names it, and as Kubernetes sees it (`name`), unless `groups.allow` leaves it out. */
  readonly groups: readonly { readonly group: string; readonly name?: string }[];
}

/** What was observed on the path to a decision. */
export interface Observed extends ChainObserver {
  readonly groups: readonly GroupsOf[];
  readonly steps: readonly { readonly authenticator: string; readonly step: string }[];
  /** The ids of the token, where it has some. */
  readonly credential: Credential | undefined;
}

export function createObserver(authenticators: readonly (IdentityConfig & { readonly name: string })[]): Observed {
  const groups: GroupsOf[] = [];
  const steps: { authenticator: string; step: string }[] = [];
  let ids: Credential | undefined;
  return {
    groups,
    steps,
    get credential() {
      return ids;
    },
    onStep(authenticator, step) {
      steps.push({ authenticator, step: String(step) });
    },
    onNames(authenticator, given, named, credential) {
      ids = credential;
      const prefix = authenticators.find(({ name }) => name === authenticator)?.groups.prefix ?? '';
      const allowed = new Set(named.groups);
      const rows = [...new Set(given.groups)].map((group) => {
        const name = prefix + group;
        return allowed.has(name) ? { group, name } : { group };
      });
      groups.push({ authenticator, username: named.username, groups: rows });
    },
  };
}

export function printObserved({ groups: all, steps }: Observed): void {
  for (const { authenticator, username, groups } of all) {
    process.stdout.write(`\nGROUPS of ${printable(username)}, from authenticator ${authenticator}\n`);
    const rows = groups.map(({ group, name }) => [group, name ?? 'left out by groups.allow']);
    if (rows.length === 0) process.stdout.write('none: the backend names none\n');
    else printTable(['BACKEND', 'KUBERNETES'], rows);
  }
  if (steps.length > 0) process.stdout.write('\nSTEPS\n');
  for (const { authenticator, step } of steps) process.stdout.write(`${authenticator}: ${printable(step)}\n`);
}

/** Returns in JSON what `printObserved` prints. */
export function observedJson({ groups, steps }: Observed): object {
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

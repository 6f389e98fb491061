import type { ChainObserver } from '../chain/chain.ts';
import type { IdentityConfig } from '../config/types.ts';
import { printable } from '../logging/printable.ts';
import type { ReadOptions } from './options.ts';
import { printJson, printTable } from './output.ts';

export type Observed = ReturnType<typeof createObserver>;

/** The groups of one user, as one authenticator has them. */
interface GroupsOf {
  readonly authenticator: string;
  /** As Kubernetes sees them, and so is `final`. */
  readonly username: string;
  readonly backend: readonly string[];
  /** Those of `backend` that `groups.allow` leaves out. `final` has the others, in the same order. */
  readonly leftOut: readonly string[];
  readonly final: readonly string[];
}

export function createObserver(authenticators: readonly (IdentityConfig & { readonly name: string })[]) {
  const groups: GroupsOf[] = [];
  const steps: { authenticator: string; step: string }[] = [];
  let ids: Parameters<ChainObserver['onNames']>[3];
  return {
    groups,
    steps,
    /** The ids of the token, where it has some. */
    get credential() {
      return ids;
    },
    onStep(authenticator, step) {
      steps.push({ authenticator, step: String(step) });
    },
    onNames(authenticator, given, named, credential?) {
      ids = credential;
      const prefix = authenticators.find(({ name }) => name === authenticator)?.groups.prefix ?? '';
      const allowed = new Set(named.groups);
      const backend = [...new Set(given.groups)];
      const { leftOut = [], kept = [] } = Object.groupBy(backend, (group) => {
        return allowed.has(prefix + group) ? 'kept' : 'leftOut';
      });
      const final = kept.map((group) => prefix + group);
      groups.push({ authenticator, username: named.username, backend, leftOut, final });
    },
  } satisfies ChainObserver & Record<string, unknown>;
}

/** Prints a table with a row for each authenticator, what was observed, and more; or JSON in place of all that. */
export function printExplanation(
  output: ReadOptions['output'],
  { groups, steps }: Observed,
  json: (observed: object) => object,
  table: readonly [head: readonly string[], rows: readonly (readonly string[])[]],
  more: string,
): void {
  if (output === 'json') {
    printJson(json({ groups, steps }));
    return;
  }
  printTable(...table);
  for (const { authenticator, username, backend, leftOut, final } of groups) {
    process.stdout.write(`\nGROUPS of ${printable(username)}, from authenticator ${authenticator}\n`);
    const names = final.values();
    const rows = backend.map((group) => [
      group,
      leftOut.includes(group) ? 'left out by groups.allow' : (names.next().value ?? ''),
    ]);
    if (rows.length === 0) process.stdout.write('none: the backend names none\n');
    else printTable(['BACKEND', 'KUBERNETES'], rows);
  }
  if (steps.length > 0) process.stdout.write('\nSTEPS\n');
  for (const { authenticator, step } of steps) process.stdout.write(`${authenticator}: ${printable(step)}\n`);
  process.stdout.write(`\n${more}\n`);
}

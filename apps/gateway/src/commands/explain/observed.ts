import type { Credential } from '@sallyport/authenticator';
import { printable } from '../../base/logging/printable.ts';
import type { GatewayConfig } from '../../config/types.ts';
import type { ChainObserver } from '../../engine/chain/chain.ts';
import { printTable } from '../output.ts';

/** An Observed has what `explain` has seen of the authenticators: the steps that they took, and the groups of users. */
export type Observed = ReturnType<typeof createObserver>;

export function createObserver({ authenticators }: GatewayConfig) {
  // `username` and `final` are as Kubernetes sees them. `final` has those of `backend` that are not in `leftOut`, in the same order.
  const groups: {
    authenticator: string;
    username: string;
    backend: string[];
    leftOut: string[];
    final: string[];
  }[] = [];
  const steps: { authenticator: string; step: string }[] = [];
  let ids: Credential | undefined;
  return {
    /** The parts of the JSON. */
    seen: { groups, steps },
    /** The ids of the token, if it has some. */
    get credential() {
      return ids;
    },
    onStep(authenticator, step) {
      steps.push({ authenticator, step: String(step) });
    },
    onCredential(_authenticator, credential) {
      ids = credential;
    },
    onNames(authenticator, given, named) {
      const allowed = new Set(named.groups);
      const backend = [...new Set(given.groups)];
      // A session names a user of another authenticator, with the prefixes of that one.
      const owners = authenticators.filter(
        (one) => one.username.prefix + given.username === named.username,
      );
      const owner = owners.find(({ name }) => name === authenticator) ?? owners[0];
      const prefix = owner?.groups.prefix ?? '';
      const leftOut = backend.filter((group) => !allowed.has(prefix + group));
      const final = backend.map((group) => prefix + group).filter((name) => allowed.has(name));
      groups.push({ authenticator, username: named.username, backend, leftOut, final });
    },
  } satisfies ChainObserver & Record<string, unknown>;
}

export function printObserved({ seen: { groups, steps } }: Observed): void {
  for (const { authenticator, username, backend, leftOut, final } of groups) {
    process.stdout.write(
      `\nGROUPS of ${printable(username)}, from authenticator ${authenticator}\n`,
    );
    const names = final.values();
    const rows = backend.map((group) => {
      return [
        group,
        leftOut.includes(group) ? 'left out by groups.allow' : (names.next().value ?? ''),
      ];
    });
    if (rows.length === 0) process.stdout.write('none: the backend names none\n');
    else printTable(['BACKEND', 'KUBERNETES'], rows);
  }
  if (steps.length > 0) process.stdout.write('\nSTEPS\n');
  for (const { authenticator, step } of steps)
    process.stdout.write(`${authenticator}: ${printable(step)}\n`);
}

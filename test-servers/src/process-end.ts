import { constants } from 'node:os';

/**
 * A signal ends a process before its `exit` listeners, unless somebody listens to it. Vitest ends its workers by SIGTERM,
 * also while a test that took too long still holds its servers.
 */
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]));
}

/** Servers go before the folders that they write to. */
const acts: Readonly<Record<'servers' | 'folders', (() => void)[]>> = { servers: [], folders: [] };
process.once('exit', () => {
  for (const act of [...acts.servers, ...acts.folders]) {
    act();
  }
});

/** Lets go, at the end of the test process, what a test could not let go before. It is not waited for. */
export function atProcessEnd(what: keyof typeof acts, letGo: () => void): void {
  acts[what].push(letGo);
}

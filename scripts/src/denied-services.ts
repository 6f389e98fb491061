import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** invoke-rc.d runs this before it starts a service; status 101 forbids the start (Debian's /usr/sbin/invoke-rc.d). */
const denial =
  '#!/bin/sh\n# This file exists only while the test setup of Sallyport installs packages.\nexit 101\n';

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/**
 * Denies the start of services while `work` runs, so that no daemon listens on a public port. An existing policy may
 * allow anything: ours replaces it, and the old one is restored at the end, even when `work` fails or a signal comes. A
 * signal does not end `work` immediately, since packages would be half installed, and their services started once the denial
 * is gone: it aborts the signal of `work`, and this function throws its reason.
 *
 * @param policy the path of policy-rc.d
 * @throws Error when a policy that was moved aside and another one both exist
 */
export async function withServicesDenied(
  policy: string,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const aside = `${policy}.before-test-setup`;
  const restore = () => {
    rmSync(policy, { force: true });
    if (exists(aside)) renameSync(aside, policy);
  };
  // A run that was killed has left the policy behind.
  if (exists(policy) && isOurs(policy)) restore();
  if (exists(aside)) throw new Error(`${aside} is in the way: move it to ${policy}, or remove it`);

  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals) => controller.abort(new Error(`stopped by ${signal}`));
  for (const signal of signals) process.on(signal, stop);
  if (exists(policy)) renameSync(policy, aside);
  try {
    writeFileSync(policy, denial, { mode: 0o755 });
    await work(controller.signal);
    controller.signal.throwIfAborted();
  } finally {
    restore();
    for (const signal of signals) process.off(signal, stop);
  }
}

/** Whether a file, or a link to a missing file, exists. */
function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function isOurs(file: string): boolean {
  return lstatSync(file).isFile() && readFileSync(file, 'utf8') === denial;
}

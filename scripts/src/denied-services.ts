import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** invoke-rc.d asks it before it starts a service, and takes 101 for a no (Debian's /usr/sbin/invoke-rc.d). */
const denial = '#!/bin/sh\n# Stands here only while the test setup of Sallyport installs packages.\nexit 101\n';

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/**
 * Denies the start of services while `work` runs, so that no daemon comes up on a public port. A policy that is there
 * already may allow anything: ours stands in its place, and the old one is put back at the end, also when `work` fails
 * or a signal comes. A signal does not cut `work` short, since packages would be half installed, and their services
 * started once the denial is gone: `work` is told, and the caller finds it aborted.
 *
 * @param policy where policy-rc.d stands
 * @throws Error when both an old policy that was put aside and another one are there
 */
export async function withServicesDenied(policy: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const aside = `${policy}.before-test-setup`;
  const restore = () => {
    rmSync(policy, { force: true });
    if (exists(aside)) renameSync(aside, policy);
  };
  // Left behind by a run that was killed.
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

/** Also of a link that leads nowhere. */
function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function isOurs(file: string): boolean {
  return lstatSync(file).isFile() && readFileSync(file, 'utf8') === denial;
}

/**
 * Installs what the tests need from the system: Debian packages, when run as root on Debian. Elsewhere it says exactly
 * what is missing. What is there already is left alone.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Each with the command that the tests run. */
const packages = [
  { name: 'curl', command: 'curl', use: 'pastes the line that the first start prints' },
  { name: 'openssl', command: 'openssl', use: 'makes certificates for the TLS tests' },
] as const;

const missing = packages.filter(({ command }) => !isOnPath(command));
if (missing.length === 0) {
  console.log(`Everything that the tests need is here: ${packages.map(({ name }) => name).join(', ')}.`);
} else if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
  console.log('Debian packages to be installed for the tests:');
  for (const { name, use } of missing) console.log(`  ${name}: ${use}`);
  install(missing.map(({ name }) => name));
} else {
  console.error('The tests need these, and they are missing:');
  for (const { name, command, use } of missing) console.error(`  ${command} (Debian package ${name}): ${use}`);
  console.error(`On Debian or Ubuntu: sudo apt-get install ${missing.map(({ name }) => name).join(' ')}`);
  process.exitCode = 1;
}

function isOnPath(command: string): boolean {
  // Servers of Debian's packages live in sbin, which not every user has on the PATH.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Service starts are denied while it installs (invoke-rc.d obeys policy-rc.d): no daemon comes up on a public port. */
function install(names: readonly string[]): void {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    run('apt-get', ['update', '--quiet']);
    run('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...names]);
  } finally {
    if (ours) rmSync(policy);
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `exit status ${status}`}`);
}

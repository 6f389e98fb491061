/**
 * Installs the Debian packages that the tests need, when run as root on Debian. Elsewhere it prints the missing ones.
 * What is already installed stays as it is.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { withServicesDenied } from './denied-services.ts';
import { planSetup, testTools } from './test-tools.ts';

const plan = planSetup(testTools, {
  has: exists,
  canInstall: process.getuid?.() === 0 && existsSync('/etc/debian_version'),
});
if (plan.kind === 'impossible') {
  console.error(plan.message);
  process.exitCode = 1;
} else {
  console.log(plan.message);
  if (plan.kind === 'install') await install(plan.packages);
}

function exists(command: string): boolean {
  if (isAbsolute(command)) return existsSync(command);
  // Debian installs servers in sbin, which not every user has on the PATH.
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

function install(names: readonly string[]): Promise<void> {
  return withServicesDenied('/usr/sbin/policy-rc.d', async (signal) => {
    await run('apt-get', ['update', '--quiet']);
    signal.throwIfAborted();
    await run('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...names]);
  });
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const [status, signal] = await once(spawn(command, args, { stdio: 'inherit', env }), 'close');
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${signal ?? `exit status ${status}`}`);
}

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommandResult, gatewayCommand } from './command.ts';
import { temporaryFolder } from './folder.ts';
import { rootFolder } from './pnpm.ts';
import { runProgram } from './shell.ts';

interface Helpdesk {
  readonly run: (words: readonly string[]) => Promise<CommandResult>;
  /** Runs a line as it is on the page. */
  readonly runLine: (line: string) => Promise<CommandResult>;
}

/** The script of deploy/systemd, as sudo runs it for helen: with the config of this folder, and the gateway of this checkout. */
export async function helpdeskIn(
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Helpdesk> {
  const bin = await temporaryFolder('helpdesk');
  const exports = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`);
  const program = gatewayCommand.map((word) => `'${word}'`).join(' ');
  await writeFile(join(bin, 'sallyport'), `#!/bin/sh\n${exports.join('')}exec ${program} "$@"\n`, {
    mode: 0o700,
  });
  const shipped = await readFile(join(rootFolder, 'deploy/systemd/sallyport-helpdesk'), 'utf8');
  const script = join(bin, 'sallyport-helpdesk');
  const here = shipped
    .replace('PATH=', `PATH=${bin}:`)
    .replace('/etc/sallyport/gateway.yaml', join(folder, 'gateway.yaml'));
  await writeFile(script, here, { mode: 0o700 });
  const setup = { cwd: bin, env: { SUDO_USER: 'helen' } };
  return {
    run: (words: readonly string[]) => runProgram(script, words, setup),
    runLine: (line: string) =>
      runProgram('sh', ['-c', line.replace('sudo -u sallyport sallyport-helpdesk', script)], setup),
  };
}

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { gatewayCommand, sharedCompileCache } from './command.ts';
import { temporaryFolder } from './folder.ts';
import { type RunningLine, runLine, startLine } from './shell.ts';

/** A shell for the commands of a page. `sallyport` is on its PATH, and a folder of this test replaces those of the machine. */
export interface PageShell {
  /** The folder that replaces `/`. */
  readonly root: string;
  /** Replaces the folders in commands by those of this shell. */
  here(commands: string): string;
  /** Runs commands to their end. @returns their output @throws Error with their output, when one fails */
  run(commands: string, input?: string): Promise<string>;
  /** Starts a command that goes on running. */
  start(command: string): RunningLine;
}

/** Makes a shell. @param env more variables, such as SALLYPORT_CONFIG */
export async function createPageShell(
  cwd?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<PageShell> {
  const root = await temporaryFolder('page');
  const program = join(root, 'bin/sallyport');
  for (const folder of ['bin', 'etc', 'root', 'media/offline', 'var/log/sallyport'])
    await mkdir(join(root, folder), { recursive: true });
  await writeFile(
    program,
    `#!/bin/sh\nexec ${gatewayCommand.map((word) => `'${word}'`).join(' ')} "$@"\n`,
  );
  await chmod(program, 0o755);
  const PATH = [join(root, 'bin'), process.env.PATH].join(delimiter);
  const setup = {
    cwd: cwd ?? root,
    env: {
      PATH,
      HOME: join(root, 'root'),
      NO_COLOR: '1',
      NODE_COMPILE_CACHE: sharedCompileCache,
      // It replaces the default, which is in the machine's own /etc.
      SALLYPORT_CONFIG: join(root, 'etc/sallyport/gateway.yaml'),
      ...env,
    },
  };
  const here = (commands: string) =>
    commands.replaceAll(/(?<![\w.])\/(etc|root|media|var)\//g, `${root}/$1/`);
  let scripts = 0;
  return {
    root,
    here,
    async run(commands, input = '') {
      scripts += 1;
      const script = join(root, `commands-${scripts}.sh`);
      await writeFile(script, here(commands));
      return runLine(`printf %s "$INPUT" | bash -e '${script}'`, {
        ...setup,
        env: { ...setup.env, INPUT: input },
      });
    },
    start: (command) => startLine(`exec ${here(command)}`, setup),
  };
}

import manifest from '../package.json' with { type: 'json' };
import { refusePasswords } from './arguments.ts';
import { exitCodes, Failure, reasonOf } from './failure.ts';
import { help } from './help.ts';
import { printable } from './text.ts';

type Command = (words: readonly string[]) => Promise<void>;

/** Each is loaded when it runs: kubectl waits for `token`. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  init: async () => (await import('./commands/init.ts')).init,
  login: async () => (await import('./commands/login.ts')).login,
  logout: async () => (await import('./commands/logout.ts')).logout,
  sessions: async () => (await import('./commands/sessions.ts')).sessions,
  token: async () => (await import('./commands/token.ts')).token,
  whoami: async () => (await import('./commands/whoami.ts')).whoami,
};

/** Runs the command that the arguments name. What goes wrong is one line on standard error. */
export async function main(words: readonly string[] = process.argv.slice(2)): Promise<void> {
  try {
    await run(words);
  } catch (error) {
    process.stderr.write(`kubectl-sallyport: ${reasonOf(error)}\n`);
    process.exitCode = error instanceof Failure ? error.exitCode : exitCodes.failed;
    if (process.exitCode === exitCodes.interrupted) interruptOthers();
  }
}

/**
 * While a question is open, the terminal makes no signal of Ctrl-C. kubectl has to have it, too: for its next request it would
 * run this command again, up to five times.
 */
function interruptOthers(): void {
  // Windows has no groups of processes.
  if (process.platform === 'win32') return;
  process.on('SIGINT', () => {});
  process.kill(0, 'SIGINT');
}

async function run([name = '--help', ...words]: readonly string[]): Promise<void> {
  if (name === 'help' || [name, ...words].some((word) => word === '-h' || word === '--help')) {
    process.stdout.write(help);
    return;
  }
  if (/^(-v|--version|version)$/.test(name)) {
    process.stdout.write(`${manifest.version}\n`);
    return;
  }
  refusePasswords(words);
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    const known = Object.keys(commands).join(', ');
    throw new Failure(
      `unknown command ${printable(name)}. Known are ${known}. See: kubectl sallyport --help`,
      exitCodes.usage,
    );
  }
  await (await load())(words);
}

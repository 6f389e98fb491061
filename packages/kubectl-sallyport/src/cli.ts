import manifest from '../package.json' with { type: 'json' };
import { login, logout, token } from './commands/login.ts';
import { sessions, whoami } from './commands/show.ts';
import { exitCodes, Failure, reasonOf, usageFailure } from './failure.ts';
import { printable } from './text.ts';

const commands: Readonly<Record<string, (words: readonly string[]) => Promise<void>>> = {
  // It is loaded when it runs: kubectl waits for `token`.
  init: async (words) => (await import('./commands/init.ts')).init(words),
  login,
  logout,
  sessions,
  token,
  whoami,
};

const help = `Logs in to Kubernetes clusters behind Sallyport: the password is typed once, and can be taken back.

Usage: kubectl sallyport COMMAND

  init URL [CLUSTER]  adds a cluster of the login server to your kubeconfig
  login               asks for your password, and starts a session
  logout              ends the session. --all: all of your sessions, on all devices
  whoami              who you are, your groups, and how long the session lasts
  sessions            your sessions, on all devices
  token               what kubectl runs. It asks for your password when there is no session

All but init work on the current context of the kubeconfig:
  --context NAME      another context
  --kubeconfig FILE   another kubeconfig. Default: the files in KUBECONFIG, else ~/.kube/config
  --url URL --cluster NAME
                      the login server and its name for the cluster, in place of a context
  --ca-file FILE      the CA of the login server (PEM)
  --username NAME     your name. Default: SALLYPORT_USERNAME, else you are asked

init:
  --all               all clusters of the login server
  --context NAME      the name of the context. Default: that of the cluster
  --keep-context      does not make the new context the current one
  --username NAME     a context of its own for this account
  --no-cluster-info   for clients that do not hand over the cluster's data: writes it into the arguments

login and token:
  --device NAME       how you find this session in a list. Default: SALLYPORT_DEVICE, else the host name
login:
  --password-stdin    reads the password from standard input
whoami and sessions:
  -o json             JSON

SALLYPORT_PASSWORD_FILE  a file with the password, for CI
KUBECACHEDIR             where sessions are cached, in the folder sallyport
NODE_USE_ENV_PROXY=1     uses HTTPS_PROXY and NO_PROXY to reach the login server

Exit codes: 0 done; 1 not logged in, or refused; 2 wrong arguments or files; 3 login server unavailable; 130 Ctrl-C
`;

/** Runs the command that the arguments name. What goes wrong is one line on standard error. */
export async function main(words: readonly string[] = process.argv.slice(2)): Promise<void> {
  try {
    await run(words);
  } catch (error) {
    process.stderr.write(`kubectl-sallyport: ${printable(reasonOf(error))}\n`);
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
  if (words.some((word) => /^--?p(assword)?(=|$)/.test(word))) {
    throw usageFailure(
      'there is no --password: others could read it. Type it at the prompt, use --password-stdin, or set SALLYPORT_PASSWORD_FILE',
    );
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const known = Object.keys(commands).join(', ');
    throw usageFailure(
      `unknown command ${name}. Known are ${known}. See: kubectl sallyport --help`,
    );
  }
  await command(words);
}

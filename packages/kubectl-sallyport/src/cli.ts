import manifest from '../package.json' with { type: 'json' };
import { login, logout, token } from './commands/login.ts';
import { sessions, whoami } from './commands/show.ts';
import { exitCodes, Failure, printFailure, usageFailure } from './failure.ts';

const commands: Readonly<Record<string, (words: readonly string[]) => Promise<void>>> = {
  // These two are loaded when they run: kubectl waits for `token`.
  factor: async (words) => (await import('./commands/factor.ts')).factor(words),
  init: async (words) => (await import('./commands/init.ts')).initKubeconfig(words),
  login,
  logout,
  sessions,
  token,
  whoami,
};

const help = `Log in to Kubernetes clusters behind Sallyport. Log in once, with your browser or a password, to start a session that can be revoked.

Usage: kubectl sallyport COMMAND [OPTIONS]

Commands:
  init URL [CLUSTER]  add a cluster of the login server to your kubeconfig
  login               start a session, with your browser or a password
  logout              end your session
  whoami              show your name, your groups, and when your session expires
  sessions            list your sessions on all devices
  factor add          add an authenticator app as your second factor
  token               print a credential for kubectl; logs in if there is no session

Options of every command except init:
  --context NAME      context of the kubeconfig (default: the current context)
  --kubeconfig FILE   kubeconfig (default: the files in KUBECONFIG, else ~/.kube/config)
  --url URL           login server; needs --cluster (except for factor add), and replaces the context
  --cluster NAME      name of the cluster at the login server; needs --url
  --ca-file FILE      PEM file with the CA of the login server
  --username NAME     username (default: SALLYPORT_USERNAME, else you are asked)

Options of init:
  --all               add all clusters of the login server
  --context NAME      name of the new context (default: the name of the cluster)
  --keep-context      keep the current context
  --username NAME     add a context for this account
  --kubeconfig FILE   kubeconfig to change (default: the files in KUBECONFIG, else ~/.kube/config)
  --ca-file FILE      PEM file with the CA of the login server
  --no-cluster-info   for clients that don't support provideClusterInfo: pass the cluster as arguments

Options of login and token:
  --device NAME       name of this device in session lists (default: SALLYPORT_DEVICE, else the host name)
  --browser           open a browser, even if SALLYPORT_BROWSER=never
  --no-browser        ask for a password at the terminal
  --print-url         print the URL of the login page, and don't open it

Options of login:
  --allow-server URL  another server that may get the token, such as a tunnel to the cluster
  --password-stdin    read the password from standard input

Options of factor add:
  --label NAME        name of the app in the list of your second factors

Options of logout:
  --all               end all of your sessions on all devices

Options of whoami and sessions:
  -o json             print JSON

Environment variables:
  SALLYPORT_USERNAME       username
  SALLYPORT_DEVICE         name of this device in session lists
  SALLYPORT_PASSWORD_FILE  file with the password, for CI
  SALLYPORT_BROWSER=never  open no browser, unless --browser is given
  KUBECACHEDIR             folder of the cached sessions, in its subfolder sallyport
  NODE_USE_ENV_PROXY=1     use HTTPS_PROXY and NO_PROXY to reach the login server

Exit status:
  0    success
  1    not logged in, or the login was refused
  2    wrong arguments or files
  3    the login server is unavailable or too busy
  130  interrupted by Ctrl-C

Examples:
  # Add the cluster prod to your kubeconfig
  kubectl sallyport init https://login.example.com:8444 prod

  # Start a session for the current context
  kubectl sallyport login

  # Log in from a machine without a browser
  kubectl sallyport login --print-url

  # Add an authenticator app, with the invitation of your administrator
  kubectl sallyport factor add

  # End all of your sessions
  kubectl sallyport logout --all
`;

/** Runs the command that the arguments name. What goes wrong is printed on standard error. */
export async function main(words: readonly string[] = process.argv.slice(2)): Promise<void> {
  try {
    await run(words);
  } catch (error) {
    printFailure(error);
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
  if (process.env.KUBERNETES_EXEC_INFO && name !== 'token') {
    throw usageFailure(
      'kubectl runs this command for a credential, and only the command token prints one',
      "in the kubeconfig, begin the args of the user's exec with token, or run: kubectl sallyport init URL CLUSTER",
    );
  }
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
      'there is no option --password, since other users could read it',
      'type the password at the prompt, use --password-stdin, or set SALLYPORT_PASSWORD_FILE',
    );
  }
  if (words.some((word) => /^--invitation(=|$)/.test(word))) {
    throw usageFailure(
      'there is no option --invitation, since other users could read it',
      'leave it out: you are asked for the invitation',
    );
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const names = Object.keys(commands).join(', ');
    throw usageFailure(
      'unknown command, which is not repeated here: it might be a password',
      `write one of ${names} first, and options after it; see: kubectl sallyport --help`,
    );
  }
  await command(words);
}

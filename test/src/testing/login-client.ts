import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { startTcpServer } from '@sallyport/test-servers/tcp-server';
import { secretsInUse } from '@sallyport/test-servers/tokens';
import { waitForPromise } from '@sallyport/test-servers/wait-for';
import { http1Client, review } from './clients.ts';
import { type CommandResult, codeFolder, sharedCompileCache } from './command.ts';
import { temporaryFolder } from './folder.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { startKubernetes } from './kubernetes.ts';
import {
  clusters,
  type LoginPlace,
  type LoginSetup,
  loginUrlOf,
  startLogin,
} from './login-gateway.ts';
import type { ReviewStatus } from './token-review.ts';

const clientFolder = dirname(
  createRequire(import.meta.url).resolve('kubectl-sallyport/package.json'),
);

/** A login server with TLS, gateways behind it, and an API server that asks them. */
export interface Site extends AsyncDisposable {
  readonly place: LoginPlace;
  readonly url: string;
  /** The certificate of the login server in PEM. */
  readonly caFile: string;
  /** Whether the login server answers. */
  reachable: boolean;
  /** The certificate that signed the certificate of the login server. */
  readonly ca: string;
  /** The gateways that run now. A restart changes them. */
  gateways: readonly Gateway[];
  /** Restarts all gateways, with their config. */
  restart(): Promise<void>;
  /** Sends a request to the login server as its client does, without a body. @returns the status */
  ask(method: string, path: string, token: string): Promise<number>;
  /** Sends JSON to the login server as its client does, on a connection of its own. @param headers more headers */
  post(
    path: string,
    body: object,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly json: Readonly<Record<string, unknown>> }>;
  /** Returns the answer of each gateway that runs now about a token, asked by the cluster prod. */
  reviews(token: string): Promise<readonly ReviewStatus[]>;
}

/** Listens on the port that people know, and forwards to another one of this machine. @param port undefined: each connection ends */
export function startFront(port: () => number | undefined): ReturnType<typeof startTcpServer> {
  return startTcpServer((client) => {
    const to = port();
    if (to === undefined) return void client.destroy();
    const server = connect(to, '127.0.0.1');
    server.on('error', () => {}).once('close', () => client.destroy());
    client.once('close', () => server.destroy());
    client.pipe(server).pipe(client);
  });
}

/** Asks a gateway about a token, as an API server does. */
export type AskGateway = (
  gatewayUrl: string,
  token: string,
  audience: string,
) => Promise<ReviewStatus>;

/**
 * Starts a site.
 *
 * @param given as for `startLogin`, but `login` needs no address. A function gets the address
 * @param askGateway how the API server asks. Default: with Node's client
 * @param host of the login server. Passkeys need a name
 */
export async function startSite(
  given: LoginSetup | ((url: string) => LoginSetup | Promise<LoginSetup>) = {},
  askGateway?: AskGateway,
  host: '127.0.0.1' | 'localhost' = '127.0.0.1',
): Promise<Site> {
  const resources = new AsyncDisposableStack();
  await using unfinished = new AsyncDisposableStack();
  unfinished.use(resources);
  const authority = await createAuthority('login-authority');
  const { certificateFile, keyFile } = await authority.issueServer();
  let port = 0;
  const site = { reachable: true, gateways: [] as readonly Gateway[] };
  // The gateways listen on ports of their own. This is the address that people know.
  const front = resources.use(await startFront(() => (site.reachable ? port : undefined)));
  const url = `https://${host}:${front.port}`;
  let reviews: LoginPlace['reviews'] = () => Promise.reject(new Error('it has not started yet'));
  const { audience } = clusters.prod;
  const kubernetes = resources.use(
    await startKubernetes((token) =>
      askGateway === undefined
        ? reviews(token, audience)
        : Promise.all(site.gateways.map((one) => askGateway(one.url, token, audience))),
    ),
  );
  const setup = typeof given === 'function' ? await given(url) : given;
  const login = {
    publicUrl: url,
    tls: { certFile: certificateFile, keyFile },
    caFile: authority.certificateFile,
    clusters: {
      prod: { audience, server: kubernetes.url, caFile: kubernetes.caFile },
      staging: clusters.staging,
    },
    ...setup.login,
  };
  const place = resources.use(await startLogin({ ...setup, login }));
  site.gateways = place.replicas.gateways;
  port = portOf(site.gateways[0]);
  reviews = place.reviews;
  unfinished.move();
  return Object.assign(site, {
    place,
    url,
    caFile: authority.certificateFile,
    ca: authority.certificate,
    reviews: (token: string) => reviews(token),
    async restart() {
      const started = await Promise.all(
        site.gateways.map(async (gateway) => {
          const resumed = resources.use(await restarted(gateway, place));
          const client = resources.use(http1Client(resumed.url));
          return { resumed, ask: (token: string) => review(client, token, 'v1', [audience]) };
        }),
      );
      site.gateways = started.map(({ resumed }) => resumed);
      port = portOf(site.gateways[0]);
      reviews = (token) => Promise.all(started.map(({ ask }) => ask(token)));
    },
    ask: async (method: string, path: string, token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const sent = request(new URL(path, url), {
        method,
        headers,
        ca: authority.certificate,
        agent: false,
      }).end();
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      answer.resume();
      return answer.statusCode ?? 0;
    },
    async post(path: string, body: object, more?: Readonly<Record<string, string>>) {
      const headers = { 'content-type': 'application/json', ...more };
      const options = { method: 'POST', headers, ca: authority.certificate, agent: false as const };
      const sent = request(new URL(path, url), options).end(JSON.stringify(body));
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      return { status: answer.statusCode ?? 0, json: JSON.parse(await text(answer)) };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  });
}

function portOf(gateway: Gateway | undefined): number {
  return gateway === undefined ? 0 : Number(new URL(loginUrlOf(gateway)).port);
}

async function restarted(gateway: Gateway, { config, people }: LoginPlace): Promise<Gateway> {
  const { folder, pid } = gateway;
  const variables = (await readFile(`/proc/${pid}/environ`, 'utf8'))
    .split('\0')
    .map((one) => one.split('='));
  const key =
    variables
      .find(([name]) => name === 'SALLYPORT_CACHE_KEY')
      ?.slice(1)
      .join('=') ?? '';
  await gateway.stop();
  return startGateway({ folder, config, files: people.files, env: { SALLYPORT_CACHE_KEY: key } });
}

/** A person at their computer: `kubectl`, with `kubectl-sallyport` on the PATH. */
export interface Desk {
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs `kubectl WORDS`. @throws Error when a password is in its output or in a file of the home */
  kubectl(
    words: readonly string[],
    more?: { readonly input?: string; readonly env?: object },
  ): Promise<CommandResult>;
  /** Runs `kubectl sallyport WORDS`, but without kubectl, which takes as long as the command. */
  sallyport(
    words: readonly string[],
    more?: { readonly input?: string; readonly env?: object },
  ): Promise<CommandResult>;
  /** Runs a line of a shell on a terminal. */
  terminal(line: string): TerminalRun;
  /** The words that each `xdg-open` got, which opens no browser here. Programs run it if `DISPLAY` is set. */
  opened(): Promise<readonly string[]>;
}

interface TerminalRun {
  readonly shown: () => string;
  type(text: string): void;
  readonly ended: Promise<number | null>;
}

export async function createDesk(): Promise<Desk> {
  const home = await temporaryFolder('desk');
  const program = join(home, 'bin/kubectl-sallyport');
  await mkdir(dirname(program));
  const addProgram = async (path: string, command: string) => {
    await writeFile(path, `#!/bin/sh\n${command}\n`);
    await chmod(path, 0o755);
  };
  const opened = join(home, 'opened');
  await addProgram(
    program,
    `exec '${process.execPath}' '${clientFolder}/${codeFolder}/kubectl-sallyport.js' "$@"`,
  );
  await addProgram(join(dirname(program), 'xdg-open'), `echo "$*" >> '${opened}'`);
  const env = {
    PATH: [dirname(program), process.env.PATH].join(delimiter),
    HOME: home,
    NODE_COMPILE_CACHE: sharedCompileCache,
  };

  async function checkLeaks(output: string): Promise<void> {
    const folder = join(home, '.cache/sallyport');
    const files = await readdir(folder).catch(() => []);
    const texts = await Promise.all(
      files.map((name) => readFile(join(folder, name), 'utf8').catch(() => '')),
    );
    // These files may contain tokens.
    const passwords = secretsInUse().filter((one) => !one.startsWith('sps_'));
    const leaks = [...findLeaks(output, secretsInUse()), ...findLeaks(texts.join('\n'), passwords)];
    if (leaks.length > 0) throw new Error(`kubectl-sallyport wrote secrets: ${leaks.join('; ')}`);
  }

  const runs =
    (command: string): Desk['kubectl'] =>
    async (words, { input = '', env: more } = {}) => {
      const child = spawn(command, words, { cwd: home, env: { ...env, ...more } });
      const output = { stdout: '', stderr: '' };
      child.stdout.setEncoding('utf8').on('data', (part: string) => (output.stdout += part));
      child.stderr.setEncoding('utf8').on('data', (part: string) => (output.stderr += part));
      child.stdin.on('error', () => {}).end(input);
      const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
      const code = await waitForPromise(closed, `the end of ${command} ${words.join(' ')}`);
      // Only the output that kubectl reads may contain a token.
      if (words[0] !== 'token') await checkLeaks(output.stdout + output.stderr);
      return { code, ...output };
    };

  return {
    home,
    env,
    kubectl: runs('kubectl'),
    sallyport: runs(program),
    async opened() {
      const lines = await readFile(opened, 'utf8').catch(() => '');
      return lines.split('\n').slice(0, -1);
    },
    terminal(line) {
      const child = spawn('script', ['-qefc', line, '/dev/null'], {
        cwd: home,
        env: { ...env, TERM: 'dumb' },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let shown = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => (shown += part));
      const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
      return {
        shown: () => shown,
        type: (keys) => void child.stdin.write(keys),
        ended: waitForPromise(closed, `the end of ${line}`)
          .finally(() => child.kill())
          .then(async (code) => {
            await checkLeaks(shown);
            return code;
          }),
      };
    },
  };
}

import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { http2Client, review } from '@sallyport/test/clients';
import { startGateway } from '@sallyport/test/gateway';
import { helpdeskIn } from '@sallyport/test/helpdesk';
import { createDesk, startFront } from '@sallyport/test/login-client';
import { loginUrlOf } from '@sallyport/test/login-gateway';
import { createPageShell } from '@sallyport/test/page-shell';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { type People, startPeople } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect } from 'vitest';

export type Replacement = readonly [text: string | RegExp, shown: string];

/** What is typed after a question. It may depend on what is shown by then. */
type Typed = readonly [question: string, answer: string | ((shown: string) => Promise<string>)];

/** A machine with Sallyport, which the commands of the pages are typed at. `/etc/sallyport` is a folder of this test. */
export interface TranscriptPlace extends AsyncDisposable {
  /** What the output has because of this test, and what a machine of a user has there, in the order to replace it. */
  readonly replacements: readonly Replacement[];
  /** Runs a command. @returns standard output and standard error, as a terminal shows them */
  run(command: string, input?: string): Promise<string>;
  /** Runs a command at a terminal. @param answers what is typed, each after the text that asks for it */
  type(command: string, answers: readonly Typed[]): Promise<string>;
  /** Runs a line for the helpdesk. */
  help(line: string): Promise<string>;
  /** Replaces a text in gateway.yaml. */
  edit(from: string, to: string): Promise<void>;
  /** Makes the rest: a directory with Jane and Bob, a Redis, a gateway with a login server that answers. */
  serve(): Promise<ServedPlace>;
}

export interface ServedPlace {
  readonly jane: { readonly password: string; readonly token: string };
  readonly alice: { readonly password: string };
  /** Sends a review, as kube-apiserver does. */
  ask(token: string): Promise<boolean>;
  /** Waits until the audit trail has this number of lines: it is written after the answers. */
  audited(lines: number): Promise<void>;
  /** Lets people have a second factor, which no one needs. */
  allowSecondFactor(): Promise<void>;
}

const config = '/etc/sallyport/gateway.yaml';
const loginUrl = 'https://login.example.com:8444';

export async function startTranscriptPlace(): Promise<TranscriptPlace> {
  const resources = new AsyncDisposableStack();
  // The account that runs the tests is no part of what is shown.
  const shell = await createPageShell(undefined, { SUDO_USER: 'anna' });
  const desk = await createDesk();
  const folder = join(shell.root, 'etc/sallyport');
  const auditFile = join(shell.root, 'var/log/sallyport/audit.log');
  const exports = `export TZ=UTC PATH='${shell.root}/bin':"$PATH" SALLYPORT_CONFIG='${shell.root}${config}' SALLYPORT_DEVICE="jane's laptop"`;
  let port: number | undefined;
  const front = resources.use(await startFront(() => port));
  const url = `https://127.0.0.1:${front.port}`;
  return {
    replacements: [
      [`${shell.root}/`, '/'],
      [url, loginUrl],
      [` --config ${config}`, ''],
      [`${config} (SALLYPORT_CONFIG)`, config],
      ['npx -y pnpm@10 sallyport', 'sallyport'],
    ],
    run: (command, input) => shell.run(`{ ${command}; } 2>&1 || true`, input),
    async type(command, answers) {
      const terminal = desk.terminal(`${exports}; ${command}`);
      for (const [question, answer] of answers) {
        await waitFor(() => terminal.shown().includes(question), question);
        const typed = typeof answer === 'string' ? answer : await answer(terminal.shown());
        terminal.type(`${typed}\r`);
      }
      await terminal.ended;
      return terminal.shown().replaceAll('\r\n', '\n');
    },
    async help(line) {
      const helpdesk = await helpdeskIn(folder);
      return (await helpdesk.runLine(`${line} 2>&1`)).stdout;
    },
    async edit(from, to) {
      const text = await readFile(join(folder, 'gateway.yaml'), 'utf8');
      expect(text).toContain(from);
      await writeFile(join(folder, 'gateway.yaml'), text.replace(from, to));
    },
    async serve() {
      const people = resources.use(await startPeople());
      const { name: _, ...jane } = await people.add('jane', 'k8s-payments', 'staff');
      const redis = resources.use(await startRedis());
      const login = await loginFiles();
      const served = configWith(people, redis.url, url, auditFile);
      const gateway = resources.use(
        await startGateway({
          folder,
          config: served,
          files: {
            ...people.files,
            ...login.files,
            'secrets/sealing-key': secret(randomBytes(32).toString('base64')),
          },
        }),
      );
      port = Number(new URL(loginUrlOf(gateway)).port);
      const added = await desk.sallyport(['init', url, 'prod', '--ca-file', login.caFile]);
      expect(added, added.stderr).toMatchObject({ code: 0 });
      const read = (name: string) => readFile(join(folder, 'kube-apiserver', name), 'utf8');
      const [authority, certificate, key] = await Promise.all([
        read('ca.crt'),
        read('client.crt'),
        read('client.key'),
      ]);
      const client = resources.use(http2Client(gateway.url, { authority, certificate, key }));
      return {
        jane,
        alice: people.alice,
        ask: async (token) => (await review(client, token)).authenticated,
        async audited(lines) {
          const trail = () => readFile(auditFile, 'utf8');
          const isWritten = async () => (await trail()).split('\n').length > lines;
          await waitFor(isWritten, `${lines} lines in the audit trail`);
        },
        async allowSecondFactor() {
          const secondFactor = { required: 'none', redis: { url: redis.url } };
          await gateway.configure({
            ...served,
            login: { ...served.login, browser: true, secondFactor },
          });
          await gateway.reload();
        },
      };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Makes the certificate of the login server. */
async function loginFiles() {
  const authority = await createAuthority('login-authority');
  const { certificate, key } = await authority.issueServer({
    commonName: 'login.example.com',
    names: ['DNS:login.example.com', 'IP:127.0.0.1'],
    days: 365,
  });
  const files = {
    'tls/login.crt': certificate,
    'tls/login.key': key,
    'tls/login-ca.crt': authority.certificate,
  };
  return { files, caFile: authority.certificateFile };
}

function configWith(people: People, redis: string, publicUrl: string, auditFile: string) {
  const user = {
    base: `ou=people,${people.slapd.suffix}`,
    filter: '(uid={username})',
    attributes: { username: 'uid', uid: 'entryUUID' },
  };
  const ofSessions = { url: redis, keyPrefix: 'sallyport:session:', tokenPrefix: 'sps_' };
  return {
    server: {
      tls: {
        certFile: 'tls/server.crt',
        keyFile: 'tls/server.key',
        clientCAFile: 'tls/ca.crt',
        clientNames: ['kube-apiserver'],
      },
    },
    authenticators: [
      { name: 'sessions', use: 'redis', options: ofSessions },
      people.authenticator({ options: { user } }),
    ],
    cache: { redis: { url: redis, sealingKeys: [{ file: 'secrets/sealing-key' }] } },
    login: {
      listen: '127.0.0.1:0',
      publicUrl,
      tls: { certFile: 'tls/login.crt', keyFile: 'tls/login.key' },
      caFile: 'tls/login-ca.crt',
      authenticators: ['corp'],
      sessions: 'sessions',
      clusters: { prod: { audience: 'prod', server: 'https://192.0.2.10:6443' } },
    },
    audit: { output: auditFile },
  };
}

import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { localServer } from './local-server.ts';

/** What a client has sent to begin a login. */
interface Begun {
  readonly id: string;
  readonly challenge: string;
  readonly port?: number;
  readonly username?: string;
  readonly device?: string;
}

const randomText = (letters: string) =>
  [...randomBytes(16)].map((byte) => letters[byte % 32]).join('');
const randomId = () => randomText('abcdefghijklmnopqrstuvwxyz234567');
const randomCode = () => randomText('0123456789ABCDEFGHJKMNPQRSTVWXYZ');

/** The path to which the page of a login sends the browser. */
export const codePath = ({ id }: { readonly id: string }, code: string) =>
  `/?id=${id}&code=${code}`;

/** A login server with pages. A test does what people do there. */
export async function browserLoginServer({
  user = 'corp:ada',
  login: typed = undefined as string | undefined,
  /** The server answers a right code then. */
  answered = Promise.resolve(),
  ways = { browser: true, passwords: true } as object,
  answer = {} as object,
  seconds = 600,
  onBegin = () => {},
  status = 201,
  /** The answer to a right password at the terminal. */
  password = {} as object,
} = {}) {
  const begun: Begun[] = [];
  const codes = new Map<string, Begun>();
  const redeemed: { readonly device?: string }[] = [];
  const requests: string[] = [];
  const url: string = await localServer(async (request, response) => {
    const body = JSON.parse((await text(request)) || '{}');
    requests.push(`${request.method} ${request.url}`);
    const send = (status: number, value: object) =>
      response.writeHead(status).end(JSON.stringify(value));
    if (request.url === '/v1/clusters') return send(200, { clusters: [{ name: 'prod' }], ...ways });
    if (request.url === '/v1/logins') {
      const login = { ...body, id: randomId() };
      begun.push(login);
      onBegin();
      const expiresAt = new Date(Date.now() + seconds * 1000).toISOString();
      const page = `${url}/login/${randomBytes(47).toString('base64url')}`;
      return send(status, { id: login.id, url: page, expiresAt, ...answer });
    }
    if (request.method === 'GET')
      return send(200, { user: { username: user }, expiresAt: '2999-01-01T00:00:00Z' });
    if (request.method === 'DELETE') return response.writeHead(204).end();
    const session = { token: 'sps_browser', expiresAt: '2999-01-01T00:00:00Z' };
    if (body.password === 'accepted') return send(201, { ...session, user: { username: user } });
    if (body.password !== undefined) return send(401, password);
    redeemed.push(body);
    const login = body.id === codes.get(body.code)?.id ? codes.get(body.code) : undefined;
    codes.delete(body.code);
    const digest = createHash('sha256').update(String(body.verifier)).digest('base64url');
    if (login?.challenge !== digest) return send(401, { code: 'wrong-code', message: 'no' });
    await answered;
    return send(201, { ...session, user: { username: user }, login: typed });
  });
  return {
    url,
    words: ['--url', url, '--cluster', 'prod'],
    requests,
    begun,
    /** What clients have sent to redeem a code. */
    redeemed,
    /** Another person logs in from now on. */
    changeUser(name: string, typedName?: string): void {
      user = name;
      typed = typedName;
    },
    /** Waits for a login that begins. */
    login: (index = 0) => waitFor(() => begun[index], 'the beginning of a login'),
    /** Confirms a login. @returns its code */
    confirm(login: Begun): string {
      const code = randomCode();
      codes.set(code, login);
      return code;
    },
  };
}

/** Sends a browser to a listener. */
export async function visit(
  port = 0,
  path = '/',
  {
    headers = {} as Readonly<Record<string, string>>,
    method = 'GET',
    host = `127.0.0.1:${port}`,
  } = {},
) {
  const answered = Promise.withResolvers<{
    status: number;
    headers: IncomingHttpHeaders;
    html: string;
  }>();
  request({ host: '127.0.0.1', port, path, method, headers: { host, ...headers } })
    .on('error', answered.reject)
    .on('response', (response) => {
      text(response).then(
        (html) =>
          answered.resolve({ status: response.statusCode ?? 0, headers: response.headers, html }),
        answered.reject,
      );
    })
    .end();
  return await answered.promise;
}

/** Installs a program that opens URLs. @returns the environment with it and with a display */
export async function installOpener(home: string, script = 'exit 0', program = 'xdg-open') {
  const folder = join(home, 'opener');
  const file = join(home, 'opened');
  await mkdir(folder);
  const text = `#!/bin/sh\necho "$# $*" >> '${file}'\necho noise; echo noise >&2\n${script}\n`;
  await writeFile(join(folder, program), text);
  await chmod(join(folder, program), 0o755);
  /** Reads what was opened: the number of words, and the words. */
  const opened = async (): Promise<readonly string[]> =>
    (await readFile(file, 'utf8').catch(() => '')).split('\n').slice(0, -1);
  return {
    env: { PATH: `${folder}${delimiter}${process.env.PATH}`, DISPLAY: ':1' },
    opened,
    /** Waits for the program, which no one else waits for. */
    firstOpened: () => waitFor(async () => (await opened())[0], 'the program'),
  };
}

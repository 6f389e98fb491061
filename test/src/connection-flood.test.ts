import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type People, startPeople } from '@sallyport/test-servers/people';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Client, http1Client, http2Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { addCrowd, type Member } from './testing/ldap-crowd.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';

/** The number of files that the gateway may have open. Node and the plugins hold some 40 from the start. */
const openFiles = 512;

let people: People;
/** The people who log in, in turn: one name is looked up at most 20 times a second. */
let members: readonly Member[];
let logins = 0;
let mutualTls: MutualTls;
let gateway: Gateway;
let apiServer: ReturnType<typeof http2Client>;
let session: ReturnType<(typeof apiServer)['session']>;

beforeAll(async () => {
  [people, mutualTls] = await Promise.all([startPeople(), createMutualTls()]);
  members = await addCrowd(people, 'user', 20);
  const files = { ...people.files, ...mutualTls.files };
  const config = {
    server: { tls: mutualTls.tls },
    authenticators: [people.authenticator()],
  };
  gateway = await startGateway({ openFiles, files, config });
  apiServer = http2Client(gateway.url, mutualTls.client);
  await expectLogin(apiServer);
  session = apiServer.session();
});

afterEach(async () => {
  await expectLogin(apiServer);
  expect(apiServer.session()).toBe(session);
  expect(
    gateway.output.lines.filter(({ msg }) => /circuit opened|could not check/.test(msg)),
  ).toEqual([]);
});

afterAll(async () => {
  apiServer[Symbol.dispose]();
  await gateway.stop();
  await people[Symbol.asyncDispose]();
});

/** Logs in with a name that is not cached, so that the directory is asked over a new connection. */
async function expectLogin(client: Client): Promise<void> {
  const { name, token } = members[logins++ % members.length] as Member;
  expect(await review(client, token)).toMatchObject({ user: { username: `corp:${name}` } });
}

/** Opens `count` connections and sends nothing on them. */
async function openIdle(url: string, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(url);
  const opened = Array.from({ length: count }, () => {
    const socket = connect(Number(port), hostname).on('error', () => {});
    onTestFinished(() => void socket.destroy());
    return socket;
  });
  await Promise.all(
    opened.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])),
  );
  return opened;
}

test('a low limit of open files is reported at the start, with how to raise it', async () => {
  const { level, remedy, maxConnections } = await gateway.waitForLog(
    'the limit of open files is low: fewer connections are accepted',
  );
  expect([level, maxConnections]).toEqual(['warn', 256]);
  expect(remedy).toMatch(/LimitNOFILE=2048.* ulimit -n 2048/);
});

test('800 connections without a byte keep out no client', async () => {
  await openIdle(gateway.url, 800);
  for (const createClient of [http2Client, http1Client]) {
    for (let login = 0; login < 5; login++) {
      using client = createClient(gateway.url, mutualTls.client);
      await expectLogin(client);
      await expectLogin(apiServer);
    }
  }
});

test('connections that come all the time keep out no client from another address', async () => {
  let ended = false;
  const flood = async (): Promise<void> => {
    while (!ended)
      for (const socket of await openIdle(gateway.url, 50))
        socket.once('close', () => socket.destroy());
  };
  const flooding = flood();
  try {
    for (let login = 0; login < 10; login++) {
      using client = http2Client(gateway.url, { ...mutualTls.client, localAddress: '127.0.0.2' });
      await expectLogin(client);
    }
  } finally {
    ended = true;
    await flooding;
  }
});

test('1,000 idle connections to the admin address leave it answering, and reviews too', async () => {
  await openIdle(gateway.adminUrl, 1_000);
  for (let login = 0; login < 5; login++) {
    expect((await fetch(new URL('/livez', gateway.adminUrl))).status).toBe(200);
    await expectLogin(apiServer);
  }
});

import { randomToken } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, type ClientTls, http2Client, review } from './testing/clients.ts';
import { podGrowth, podHeap } from './testing/deployed.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { cancelled, largeRequests, preface, requestBegun } from './testing/http2-frames.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import { peakMemory, residentMemory } from './testing/process-memory.ts';
import { openRawSocket, type RawSocket } from './testing/raw-socket.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';

let backend: ScriptedBackend;
let mutualTls: MutualTls;
let kubelet: ClientTls;

beforeAll(async () => {
  mutualTls = await createMutualTls();
  kubelet = mutualTls.clientWith(await mutualTls.clientAuthority.issueClient('system:node:a'));
  backend = await startScriptedBackend();
});

let gateway: Gateway;
/** A kube-apiserver that was connected before: a handshake during a flood may take longer than it is allowed to. */
let apiServer: Client;
afterAll(() => stop());

async function stop(): Promise<void> {
  apiServer?.[Symbol.dispose]();
  await gateway?.stop();
}

async function expectServed(): Promise<void> {
  const token = randomToken();
  backend.answer(token, authenticated('ada'));
  expect(await review(apiServer, token)).toMatchObject({ user: { username: 'ada' } });
}

/** Opens connections, a few at a time, and writes on all of them at one moment. Nothing is read. */
async function flood(client: ClientTls, count: number, bytes: Buffer): Promise<void> {
  const opened: RawSocket[] = [];
  const open = () => openRawSocket(gateway.url, client, 'h2');
  while (opened.length < count)
    opened.push(...(await Promise.all(Array.from({ length: 4 }, open))));
  for (const { socket } of opened) socket.pause();
  for (const { socket } of opened) socket.write(bytes);
  for (let served = 0; served < 3; served += 1) await expectServed();
  for (const { socket } of opened) socket.destroy();
}

const plain = { ':method': 'GET', ':scheme': 'https', ':path': '/', ':authority': 'a' };
const heads = Array.from({ length: 900 }, (_, index) => requestBegun(2 * index + 1, plain));
const floods: readonly [string, number, Buffer][] = [
  ['300 connections with 250 POSTs of 7 KB', 300, largeRequests('POST', 250)],
  ['300 connections with 250 GETs of 7 KB', 300, largeRequests('GET', 250)],
  ['300 connections with 250 plain GETs', 300, Buffer.concat(heads.slice(0, 250))],
  ...[8, 20].map((count): [string, number, Buffer] => [
    `${count} connections with 900 resets`,
    count,
    Buffer.concat(heads.flatMap((head, index) => [head, cancelled(2 * index + 1)])),
  ]),
];

test.each(
  floods.flatMap(([name, count, bytes]) => [
    { name, who: 'a kubelet', client: () => kubelet, count, bytes },
    { name, who: 'kube-apiserver', client: () => mutualTls.client, count, bytes },
  ]),
)(
  '$name, with the certificate of $who, fit into the pod, and others are served',
  async ({ name, who, client, count, bytes }) => {
    await stop();
    const { files, tls } = mutualTls;
    gateway = await startGateway({
      files,
      env: { NODE_OPTIONS: await podHeap() },
      config: { server: { tls }, authenticators: [backend.authenticator('corp')] },
    });
    apiServer = http2Client(gateway.url, { ...mutualTls.client, localAddress: '127.0.0.2' });
    for (let served = 0; served < 50; served += 1) await expectServed();
    const before = await residentMemory(gateway.pid);
    await flood(client(), count, Buffer.concat([preface, bytes]));
    const grown = (await peakMemory(gateway.pid)) - before;
    console.info(
      `${name}, ${who}: ${before.toFixed()} MiB before, ${grown.toFixed()} MiB more at most`,
    );
    expect(grown).toBeLessThan(await podGrowth());
  },
);

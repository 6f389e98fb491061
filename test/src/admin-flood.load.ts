import { randomToken } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Client, get, http1Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { residentMemory } from './testing/process-memory.ts';
import { openRawSocket } from './testing/raw-socket.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';

interface Slowest {
  /** The maximum number of milliseconds without an answer. */
  readonly review: number;
  readonly livez: number;
  /** The memory in MiB. */
  readonly memory: number;
}

/** Sends reviews and requests for `/livez`, one after the other, for this number of milliseconds. */
async function measure(duration: number): Promise<Slowest> {
  const slowest = { review: 0, livez: 0, memory: 0 };
  const took = async (ask: () => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await ask();
    return performance.now() - start;
  };
  for (const end = performance.now() + duration; performance.now() < end; ) {
    slowest.review = Math.max(slowest.review, await took(() => review(client, randomToken())));
    slowest.livez = Math.max(slowest.livez, await took(() => get(gateway.adminUrl, '/livez')));
    slowest.memory = Math.max(slowest.memory, await residentMemory(gateway.pid));
  }
  return slowest;
}

/** Pipelines requests on a connection of its own, and reads no answer. */
async function flood(adminUrl: string, requests: string): Promise<void> {
  const raw = await openRawSocket(adminUrl);
  onTestFinished(() => raw[Symbol.dispose]());
  raw.socket.pause();
  raw.send(requests);
}

let gateway: Gateway;
let client: Client;

beforeAll(async () => {
  const backend = await startScriptedBackend();
  backend.answerOthers(authenticated('ada'));
  gateway = await startGateway({ config: { authenticators: [backend.authenticator('corp')] } });
  client = http1Client(gateway.url);
});

afterAll(async () => {
  client[Symbol.dispose]();
  await gateway.stop();
});

const get1700 = (head: string): string => `GET ${head}\r\n\r\n`.repeat(1_700);

test.each([
  { name: '/metrics', requests: get1700('/metrics HTTP/1.1\r\nhost: 127.0.0.1') },
  {
    name: '/metrics over HTTP/1.0',
    requests: get1700('/metrics HTTP/1.0\r\nhost: 127.0.0.1\r\nconnection: keep-alive'),
  },
  { name: '/status.json', requests: get1700('/status.json HTTP/1.1\r\nhost: 127.0.0.1') },
  { name: '/readyz?verbose', requests: get1700('/readyz?verbose HTTP/1.1\r\nhost: 127.0.0.1') },
  {
    name: '/metrics without a Host',
    requests: `GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n${get1700('/metrics HTTP/1.1')}`,
  },
])(
  '1,700 pipelined requests of $name neither delay reviews and /livez nor cost memory',
  async ({ requests }) => {
    const calm = await measure(200);
    const floods = Array.from({ length: 6 }, () => flood(gateway.adminUrl, requests));
    const flooded = await measure(500);
    await Promise.all(floods);
    const growth = flooded.memory - calm.memory;
    const figures = (slowest: Slowest) =>
      `review ${slowest.review.toFixed()} ms, /livez ${slowest.livez.toFixed()} ms`;
    console.log(
      `slowest ${figures(flooded)}; calm ${figures(calm)}; memory grew by ${growth.toFixed()} MiB`,
    );
    // The limits are 50 ms, or the time before the flood, and 30 MiB.
    expect(flooded.review).toBeLessThan(5 * Math.max(50, calm.review));
    expect(flooded.livez).toBeLessThan(5 * Math.max(50, calm.livez));
    expect(growth).toBeLessThan(5 * 30);
  },
);

import { afterAll, beforeAll, expect, test } from 'vitest';
import { podGrowth, podHeap } from './testing/deployed.ts';
import { requestBegun } from './testing/http2-frames.ts';
import {
  type FloodConnection,
  type FloodedLogin,
  smallRequest,
  startFloodedLogin,
} from './testing/login-floods.ts';
import { publicHost } from './testing/login-gateway.ts';
import { peakMemory, residentMemory } from './testing/process-memory.ts';

let login: FloodedLogin;
beforeAll(async () => {
  login = await startFloodedLogin({ env: { NODE_OPTIONS: await podHeap() } });
  // Code and caches take longer at their first use, which must not count for the flood.
  for (let count = 0; count < 50; count += 1) await login.expectServed();
});
afterAll(() => login[Symbol.asyncDispose]());

const head = {
  ':method': 'POST',
  ':scheme': 'https',
  ':path': '/v1/sessions',
  ':authority': publicHost,
};
const large = { ...head, 'x-a': 'a'.repeat(14_000) };

/** Opens connections, a few at a time, and writes on all of them at one moment. */
async function flood(
  count: number,
  protocol: 'h2' | 'http/1.1',
  bytes: string | Buffer,
): Promise<void> {
  const all: FloodConnection[] = [];
  while (all.length < count)
    all.push(...(await Promise.all(Array.from({ length: 20 }, () => login.open(protocol)))));
  for (const { socket } of all) socket.write(bytes);
  for (let served = 0; served < 3; served += 1) await login.expectServed();
  for (const { socket } of all) socket.destroy();
}

test.each([
  {
    name: '1,000 connections with 60 pipelined requests',
    count: 1_000,
    protocol: 'http/1.1',
    bytes: smallRequest.repeat(60),
  },
  {
    name: '120 sessions with 250 requests of 14 KB of headers',
    count: 120,
    protocol: 'h2',
    bytes: Buffer.concat(
      Array.from({ length: 250 }, (_, index) => requestBegun(2 * index + 1, large)),
    ),
  },
] as const)(
  '$name take little memory, and others are served',
  async ({ name, count, protocol, bytes }) => {
    const { pid } = login.gateway;
    const before = await residentMemory(pid);
    await flood(count, protocol, bytes);
    const grown = (await peakMemory(pid)) - before;
    console.info(`${name}: ${before.toFixed()} MiB before, ${grown.toFixed()} MiB more at most`);
    expect(grown).toBeLessThan(Math.min(150, await podGrowth()));
  },
);

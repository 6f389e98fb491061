import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { codeWithPassword, redeemCode, tokenOf } from './testing/browser-login.ts';
import { podHeap } from './testing/deployed.ts';
import { loginUrlOf, publicHost, startLogin } from './testing/login-gateway.ts';
import { residentMemory } from './testing/process-memory.ts';

const attempts = 10_000;
/** Requests at a time. */
const width = 16;

/** Sends requests over connections that stay open, as a proxy does. */
function createSender(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: width });
  return {
    send: (method: string, path: string, body?: string) =>
      new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
        const headers = {
          host: publicHost,
          ...(body && { 'content-type': 'application/json', 'content-length': body.length }),
        };
        const sent = request(new URL(path, url), { method, headers, agent }, (answer) => {
          text(answer).then(
            (content) => resolve({ status: answer.statusCode ?? 0, text: content }),
            reject,
          );
        });
        sent.on('error', reject).end(body);
      }),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

test('10,000 logins that no one finishes take no memory and no key in Redis, and others log in', async () => {
  await using place = await startLogin({
    login: { browser: true, limits: { perAddress: '100000/s' } },
    env: { NODE_OPTIONS: await podHeap() },
  });
  const [gateway] = place.replicas.gateways;
  if (gateway === undefined) throw new Error('no gateway');
  using sender = createSender(loginUrlOf(gateway));
  const body = JSON.stringify({ challenge: 'c'.repeat(43), port: 50_000, cluster: 'prod' });
  const beginAndOpen = async () => {
    const begun = await sender.send('POST', '/v1/logins', body);
    const page = await sender.send('GET', new URL(JSON.parse(begun.text).url).pathname);
    return [begun.status, page.status];
  };
  const flood = async (count: number) => {
    const statuses = new Set<string>();
    let left = count;
    const worker = async () => {
      while (left-- > 0) statuses.add(String(await beginAndOpen()));
    };
    await Promise.all(Array.from({ length: width }, worker));
    return [...statuses];
  };
  // Code and caches take memory at their first use.
  await flood(2_000);
  const client = place.redis.client();
  const memory = await residentMemory(gateway.pid);
  const others = { done: 0 };
  const people = (async () => {
    for (let count = 0; count < 10; count += 1) {
      const person = await place.people.add(`person-${count}`);
      const { code, verifier } = await codeWithPassword(place, person);
      tokenOf(await redeemCode(place, code, verifier));
      others.done += 1;
    }
  })();
  expect(await flood(attempts)).toEqual(['201,200']);
  await people;
  const grown = (await residentMemory(gateway.pid)) - memory;
  console.info(
    `${attempts} logins begun: ${memory.toFixed()} MiB before, ${grown.toFixed()} MiB more`,
  );
  // Only the logins of those who logged in are in Redis.
  expect([others.done, (await client.keys('*cache-login*')).length]).toEqual([10, 10]);
  expect(grown).toBeLessThan(60);
});

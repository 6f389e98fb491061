import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { ada, hang, isAda, startChain } from './testing/chain.ts';
import { review } from './testing/clients.ts';
import { openRawSocket, rawRequest } from './testing/raw-socket.ts';
import { reviewBody } from './testing/token-review.ts';

/** The number of concurrent lookups. The gateway under test accepts one more review, the minimum. */
const maxConcurrent = 400;
/** The number of slots for tokens that were never accepted before. */
const lookups = (maxConcurrent * 3) / 4;

test('callers that leave in mid-lookup, hundreds concurrently, leave capacity for as many', async () => {
  // No lookup reaches its deadline.
  const server = { maxInFlight: maxConcurrent + 1, reviewTimeout: '30s' };
  await using chain = await startChain(
    (backend) => [backend.authenticator('corp', { maxConcurrent, timeout: '29s' })],
    server,
  );

  /** Takes every slot for a lookup, with callers that break the connection during it. Gives false if one was refused. */
  async function takeAllSlots(): Promise<boolean> {
    const tokens = new Set(Array.from({ length: lookups }, () => chain.token({ corp: hang })));
    let refused = 0;
    const raws = await Promise.all(
      [...tokens].map(async (token) => {
        const raw = await openRawSocket(chain.gateway.url);
        raw.socket.once('data', () => refused++);
        raw.send(rawRequest(reviewBody(token)));
        return raw;
      }),
    );
    const asked = () => chain.backend.calls.filter(({ token }) => tokens.has(token));
    await waitFor(
      () => asked().length + refused === lookups,
      'a lookup or a refusal for each caller',
    );
    for (const { socket } of raws) socket.resetAndDestroy();
    await waitFor(() => asked().every((call) => call.aborted), 'the abort of every lookup');
    return refused === 0;
  }

  await waitFor(takeAllSlots, 'every slot');
  await waitFor(takeAllSlots, 'every slot again');
  expect(await review(chain.client, chain.token({ corp: ada }))).toEqual(isAda);
});

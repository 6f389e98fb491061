import { randomToken } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBackends } from './bench/backends.ts';
import { memoryCase, quietCase, staticCase } from './bench/cases.ts';
import type { ClientMessage } from './bench/client.ts';
import { asTarget, gateway, type Place, server } from './bench/contender.ts';
import { figures, measure, type Named, type Row, ratioOf } from './bench/measure.ts';
import { checkout } from './bench/options.ts';
import { reviewsTable } from './bench/table.ts';
import { createTls } from './bench/tls.ts';
import { startWorker } from './bench/worker.ts';
import { reviewBody } from './testing/token-review.ts';

/**
 * A short `pnpm bench`. Only ratios of the same round are checked, at five times the limit of the bench. With 5 rounds the
 * median of the ratios went from 0.8 to 1.5, with 15 of them from 1.0 to 1.3.
 */
const resources = new AsyncDisposableStack();
let place: Place;
let rows: readonly Row[];

const contenders = [
  server('stack'),
  gateway('static', () => staticCase()),
  gateway('memory', memoryCase),
  gateway('quiet', quietCase),
];

beforeAll(async () => {
  const client = resources.use(startWorker<ClientMessage, unknown>('client.ts'));
  place = {
    tls: await createTls(resources),
    client,
    backends: createBackends(resources),
    resources,
  };
  const started = await Promise.all(
    contenders.map(
      async (one): Promise<Named> => ({
        name: one.name,
        running: await one.start(place, checkout),
      }),
    ),
  );
  rows = await measure(started, { protocol: 'h2', at: 8, reviews: 300 }, { rounds: 15 });
  console.log(reviewsTable(rows, 'stack'));
});

afterAll(() => resources.disposeAsync());

function cpuOf(name: string, baseline: string): number {
  const [row, base] = [name, baseline].map(
    (one) => rows.find((row) => row.name === one) as Row,
  ) as [Row, Row];
  return ratioOf(row, base, figures['CPU µs'] as (typeof figures)[string]);
}

test.each(['static', 'memory'])(
  'a review costs what one of an empty Koa app does, or five times as much: %s',
  (name) => {
    expect(cpuOf(name, 'stack')).toBeLessThan(5);
  },
);

test('audit, metrics and the status page cost a tenth of the CPU of a review, or half of it', () => {
  expect(cpuOf('memory', 'quiet')).toBeLessThan(1.5);
});

test('a wrong answer fails the bench', async () => {
  const worker = resources.use(startWorker<object, string>('server.js'));
  const url = await worker.ask({ kind: 'stack', tls: place.tls.server });
  const target = await asTarget(place, url, [
    { body: reviewBody(randomToken()), username: 'another user' },
  ]);
  const wrong = target.drive({ protocol: 'h2', at: 1, reviews: 1 });
  await expect(wrong).rejects.toThrow(/expected another user, but the answer is 200 .*user-0/);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBackends } from './bench/backends.ts';
import { memoryCase } from './bench/cases.ts';
import type { ClientMessage } from './bench/client.ts';
import { asTarget } from './bench/contender.ts';
import { metric, startBenchGateway } from './bench/gateway.ts';
import { checkout } from './bench/options.ts';
import { createTls } from './bench/tls.ts';
import { startWorker } from './bench/worker.ts';
import { residentMemory } from './testing/process-memory.ts';

/**
 * A short `pnpm bench memory`. Only growth is checked: a gateway of the checkout takes 36 MiB more than an installed one, to
 * remove types.
 */
const resources = new AsyncDisposableStack();

/** The gateway before the load and after each tenth of it: MiB, and how often V8 collected all of its heap. */
const samples: { readonly memory: number; readonly collections: number }[] = [];

beforeAll(async () => {
  const client = resources.use(startWorker<ClientMessage, unknown>('client.ts'));
  const tls = await createTls(resources);
  const place = { tls, client, backends: createBackends(resources), resources };
  const { questions, config, files = {} } = memoryCase();
  const { pid, url, adminUrl } = resources.use(
    await startBenchGateway({ entry: checkout, tls, config, files }),
  );
  const target = await asTarget(place, url, questions);
  const look = async (): Promise<void> => {
    const memory = await residentMemory(pid);
    const name = 'nodejs_gc_duration_seconds_count';
    samples.push({ memory, collections: await metric(adminUrl, name, ['kind="major"']) });
  };
  await look();
  for (let tenth = 0; tenth < 10; tenth++) {
    await target.drive({ protocol: 'h2', at: 64, reviews: 10_000 });
    await look();
  }
  const figures = samples.map(({ memory, collections }) => `${memory.toFixed()} (${collections})`);
  console.log(`MiB (full collections) after each 10,000 reviews: ${figures.join(', ')}`);
});

afterAll(() => resources.disposeAsync());

function growth(figure: 'memory' | 'collections', from: number, to: number): number {
  const [before, after] = [samples[from], samples[to]].map((one) => one?.[figure] ?? Number.NaN);
  return Number(after) - Number(before);
}

test('10,000 reviews at 64 take at most 50 MiB, and 100,000 at most 75 MiB', () => {
  expect(growth('memory', 0, 1)).toBeLessThan(50);
  expect(growth('memory', 0, 10)).toBeLessThan(75);
});

test('the second half of 80,000 more takes at most 8 MiB', () => {
  expect(growth('memory', 6, 10)).toBeLessThan(8);
});

test('a review leaves so little in the old space that 80,000 fill it 10 times at most', () => {
  expect(growth('collections', 2, 10)).toBeLessThanOrEqual(10);
});

import { readdir } from 'node:fs/promises';
import { type BenchGateway, metric } from '../bench/gateway.ts';
import { median } from '../testing/median.ts';
import { residentMemory } from '../testing/process-memory.ts';
import { type Counts, type SoakLoad, sleep } from './load.ts';

/** The resources of a gateway in a time without disturbance. */
export interface Sample {
  readonly minute: number;
  /** The heap in use after a garbage collection, in MiB. */
  readonly heap: number;
  /** The resident memory, in MiB. */
  readonly memory: number;
  readonly openFiles: number;
  /** The median latency in milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Milliseconds in which latencies are measured, and then between two looks at the memory. */
const calm = 6_000;
const lookInterval = 500;
const looks = 4;

export async function takeSample(
  { pid, adminUrl }: BenchGateway,
  load: SoakLoad,
  minute: number,
): Promise<Sample> {
  load.latencies();
  await sleep(calm);
  const latencies = load.latencies();
  const heaps: number[] = [];
  const files: number[] = [];
  for (let look = 0; look < looks; look++) {
    // The gateway then collects its garbage: see `collectsGarbage`.
    process.kill(pid, 'SIGUSR2');
    await sleep(lookInterval);
    heaps.push((await metric(adminUrl, 'nodejs_heap_size_used_bytes')) / 2 ** 20);
    files.push((await readdir(`/proc/${pid}/fd`)).length);
  }
  const [heap, openFiles, memory] = [
    Math.min(...heaps),
    Math.min(...files),
    await residentMemory(pid),
  ];
  return { minute, heap, memory, openFiles, ...latencies };
}

/** Finds what grew from the first third to the last one. The first sample does not count: caches were empty. */
export function findGrowth(samples: readonly Sample[]): string[] {
  const settled = samples.slice(1);
  const third = Math.floor(settled.length / 3);
  if (third === 0) return ['too short to find growth: at least 4 cycles'];
  const [first, last] = [settled.slice(0, third), settled.slice(-third)];
  const grown = (figure: keyof Sample, limit: (before: number) => number): string[] => {
    const [before, after] = [first, last].map((some) => median(some.map((one) => one[figure]))) as [
      number,
      number,
    ];
    return after <= limit(before)
      ? []
      : [`${figure} grew from ${before.toFixed(1)} to ${after.toFixed(1)}`];
  };
  return [
    ...grown('heap', (before) => before * 1.1 + 2),
    // Clients of Sentinel and of a cluster have some connections more after an outage.
    ...grown('openFiles', (before) => before * 1.25 + 8),
    // Five times what noise explains on a machine that is shared.
    ...grown('p50', (before) => before * 5),
  ];
}

/** Finds the kinds of requests of which more than one in a thousand failed while no backend was away. */
export function findUnexplained(counts: ReadonlyMap<string, Counts>): string[] {
  return [...counts]
    .filter(([, { answered, unexplained }]) => unexplained > Math.ceil(answered / 1_000))
    .map(
      ([name, { answered, unexplained }]) =>
        `${name}: ${unexplained} of ${answered + unexplained} could not be checked without an outage`,
    );
}

/** Runs `pnpm bench`: what a review costs, compared with servers that do less. See --help. */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { createBackends } from './backends.ts';
import type { ClientMessage } from './client.ts';
import type { Place } from './contender.ts';
import { type Memory, measureMemory, parts } from './memory.ts';
import { type Options, parseOptions, usage } from './options.ts';
import { plot } from './plot.ts';
import { measureProfile } from './profile.ts';
import { measureReviews } from './reviews.ts';
import { measureScale } from './scale.ts';
import { measureStart } from './start.ts';
import { memoryTable, profileTable, reviewsTable, scaleTables, startTable } from './table.ts';
import { createTls } from './tls.ts';
import { startWorker } from './worker.ts';

const machine = `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model.trim()}`;

/** Runs one mode of the bench. @returns the content for the file of `--json` */
async function run(options: Options): Promise<object> {
  await using resources = new AsyncDisposableStack();
  const client = resources.use(startWorker<ClientMessage, unknown>('client.ts'));
  const place: Place = {
    tls: await createTls(resources),
    client,
    backends: createBackends(resources),
    resources,
  };
  switch (options.mode) {
    case 'reviews':
      return await reviews(place, options);
    case 'start': {
      const rows = await measureStart(place, options, progress);
      print(`${machine}.`, startTable(rows));
      return { machine, rows };
    }
    case 'memory': {
      const contenders = await measureMemory(place, options, progress);
      print(`${machine}. ${memoryExplanation(contenders)}`, memoryTable(contenders));
      return { machine, contenders };
    }
    case 'profile': {
      const rows = await measureProfile(place, options, progress);
      print(
        `${machine}. Shares of the samples of V8, without those in which the gateway was idle.`,
        profileTable(rows),
      );
      return { machine, rows };
    }
    case 'scale': {
      const scale = await measureScale(place, options, progress);
      print(
        `${machine}. ${explanation(options.rounds, 'the first line of each table')}`,
        scaleTables(scale),
      );
      return { machine, ...scale };
    }
  }
}

async function reviews(place: Place, options: Options): Promise<object> {
  const { baseline, rounds } = options;
  const { rows, offered } = await measureReviews(place, options, progress);
  print(`${machine}. ${explanation(rounds, baseline)}`, reviewsTable(rows, baseline));
  if (options.plot !== undefined)
    await writeFile(options.plot, plot(offered, 'Latency of reviews: p50, and p99 dashed'));
  return { machine, baseline, rows, offered };
}

function memoryExplanation([one]: readonly Memory[]): string {
  const { at, reviews = 0 } = one?.load.order ?? { at: 0 };
  const load = `${(parts * reviews).toLocaleString('en')} reviews at ${at}`;
  return `The load is ${load}, in turns of a tenth; CPU is the median of the turns, and of their ratios.`;
}

const explanation = (rounds: number, baseline: string): string =>
  `All figures are medians of ${rounds} rounds; (×) is the median ratio to ${baseline}, in the same round.`;

function print(...paragraphs: readonly string[]): void {
  progress('');
  console.log(paragraphs.join('\n\n'));
}

/** Shows progress on a terminal, in one line that changes. */
function progress(words: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${words}`);
}

async function main(): Promise<void> {
  // pnpm passes on the `--` that separates its own options.
  const options = parseOptions(process.argv.slice(2).filter((word) => word !== '--'));
  if (options === 'help') return console.log(usage);
  const results = await run(options);
  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
}

await main().catch((error: unknown) => {
  progress('');
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
});

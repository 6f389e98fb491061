/**
 * Three gateways with login servers, in front of a directory and two Redis, while people, robots and administrators use
 * them, files change, and one thing after the other fails. Every answer is checked against what the documents allow at that
 * time (see oracle.ts), and the resources of one gateway are compared.
 *
 * `pnpm soak [--minutes 10] [--topology single|sentinel|cluster] [--seed N] [--only WORDS] [--without WORDS] [--gateway FILE]`.
 * It exits with 1 if an answer was wrong, a recovery took too long, something grew, or more than one request in a thousand was an error while
 * nothing had failed.
 */
import { parseArgs } from 'node:util';
import { pathOf } from '../bench/options.ts';
import { markdown } from '../bench/table.ts';
import { createScenarios } from './faults.ts';
import { type SoakLoad, startSoakLoad } from './load.ts';
import { findViolations } from './oracle.ts';
import type { Scenario } from './place.ts';
import { historyOf } from './print-history.ts';
import { createRandom, type Random } from './random.ts';
import { findGrowth, findUnexplained, type Sample, takeSample } from './samples.ts';
import { startWorld } from './start-world.ts';
import { type Topology, topologies } from './stores.ts';
import { settleTime } from './watch-machine.ts';

interface Options {
  readonly minutes: number;
  readonly topology: Topology;
  readonly seed: number;
  /** Only scenarios whose names contain this. */
  readonly only: string;
  /** No scenarios whose names contain one of these. */
  readonly without: readonly string[];
  readonly entry: string | undefined;
}

/** The maximum number of violations that are printed after one scenario. More would say the same. */
const maxPrinted = 3;

/** The number of scenarios between two samples. */
const scenariosBetweenSamples = 3;

/** Runs a soak. @returns whether all was right */
async function soak(options: Options): Promise<boolean> {
  const { minutes, topology, seed, only, without, entry } = options;
  const command = describeCommand(options);
  console.error(`soak: ${command}`);
  // Faults have numbers of their own: their order must not depend on how many requests were answered.
  const random = createRandom(seed);
  await using resources = new AsyncDisposableStack();
  const world = await startWorld(resources, { topology, entry, choose: random.choose });
  const load = startSoakLoad(world, createRandom(seed + 1));
  const deck = createDeck(
    createScenarios(world, load, random).filter(
      ({ name }) => name.includes(only) && !without.some((words) => name.includes(words)),
    ),
    random,
  );
  const [samples, runs, problems, seen]: [Sample[], Map<string, number>, string[], Set<object>] = [
    [],
    new Map(),
    [],
    new Set(),
  ];
  const start = performance.now();
  const minute = () => (performance.now() - start) / 60_000;
  try {
    await load.recovered();
    for (let count = 0; minute() < minutes; count++) {
      const [first] = world.replicas;
      if (count % scenariosBetweenSamples === 0 && first)
        samples.push(await takeSample(first.gateway, load, minute()));
      const { name, run } = deck();
      console.error(
        `${minute().toFixed(1)} of ${minutes} minutes, ${load.acts.history.length} events: ${name}`,
      );
      runs.set(name, (runs.get(name) ?? 0) + 1);
      await load.acts.changePassword(random.choose(load.groups.busy));
      await run();
      printNew(load, seen, minute(), performance.now() - settleTime);
    }
  } catch (error) {
    problems.push(String(error));
  }
  await load.stop().catch((error: unknown) => problems.push(String(error)));
  printNew(load, seen, minute());
  if (seen.size > 0) problems.push(`${seen.size} answers were wrong: ${command}`);
  problems.push(...load.acts.wrong.slice(0, 20), ...findUnexplained(load.counts));
  if (samples.length > scenariosBetweenSamples) problems.push(...findGrowth(samples));
  report({ load, samples, runs, problems, violations: seen.size });
  return problems.length === 0;
}

/** Writes the options that repeat a soak. */
function describeCommand({ topology, seed, minutes, only, without }: Options): string {
  const words = [
    `--topology ${topology} --seed ${seed} --minutes ${minutes}`,
    ...(only === '' ? [] : [`--only '${only}'`]),
    ...without.map((name) => `--without '${name}'`),
  ];
  return words.join(' ');
}

/** Creates a function that returns each scenario once, in any order, before one comes again. */
function createDeck(scenarios: readonly Scenario[], { next }: Random): () => Scenario {
  let left: Scenario[] = [];
  return () => {
    if (left.length === 0) left = [...scenarios];
    const [scenario] = left.splice(Math.floor(next() * left.length), 1);
    if (scenario === undefined) throw new Error('--only: no scenario has these words in its name');
    return scenario;
  };
}

/**
 * Prints new violations.
 *
 * @param seen the violations that were printed before
 * @param until which answers are checked. Later ones wait for the next call. Default: all
 */
function printNew(
  { acts }: SoakLoad,
  seen: Set<object>,
  minute: number,
  until: number = Number.POSITIVE_INFINITY,
): void {
  const found = findViolations(acts.history).filter(({ of }) => !seen.has(of) && of.begin <= until);
  for (const [at, violation] of found.entries()) {
    seen.add(violation.of);
    if (at >= maxPrinted) continue;
    const lines = historyOf(violation, acts.history);
    console.error(`\nat ${minute.toFixed(1)} minutes, ${violation.why}:\n${lines.join('\n')}\n`);
  }
  if (found.length > maxPrinted) console.error(`and ${found.length - maxPrinted} more\n`);
}

interface Results {
  readonly load: SoakLoad;
  readonly samples: readonly Sample[];
  readonly runs: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
  readonly violations: number;
}

function report({ load, samples, runs, problems, violations }: Results): void {
  const figures = samples.map((one) => Object.values(one).map((value) => value.toFixed(1)));
  const requests = [...load.counts].map(([name, one]) => [name, ...Object.values(one).map(String)]);
  const faults = [...runs].map(([name, times]) => [name, String(times)]);
  const tables = [
    markdown(['minute', 'heap MiB', 'memory MiB', 'open files', 'p50 ms', 'p99 ms'], figures, 0),
    markdown(['request', 'answered', 'error: in a fault', 'at other times'], requests, 1),
    markdown(['act', 'confirmed', 'not confirmed'], actLines(load), 1),
    markdown(['fault', 'times'], faults, 1),
  ];
  console.log(tables.join('\n\n'));
  for (const problem of problems) console.error(`soak: ${problem}`);
  console.log(
    problems.length === 0
      ? '\nNo wrong answer; nothing grew.'
      : `\n${violations} wrong answers, ${problems.length} problems`,
  );
}

function actLines({ acts }: SoakLoad): string[][] {
  const counts = new Map<string, [sure: number, unsure: number]>();
  for (const event of acts.history) {
    if (!('isSure' in event)) continue;
    const [sure, unsure] = counts.get(event.what) ?? [0, 0];
    counts.set(event.what, event.isSure ? [sure + 1, unsure] : [sure, unsure + 1]);
  }
  return [...counts].map(([what, some]) => [what, ...some.map(String)]);
}

const { values } = parseArgs({
  args: process.argv.slice(2).filter((word) => word !== '--'),
  options: {
    minutes: { type: 'string', default: '10' },
    topology: { type: 'string', default: 'single' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    only: { type: 'string', default: '' },
    without: { type: 'string', multiple: true, default: [] },
    gateway: { type: 'string' },
  },
});
const topology = topologies.find((one) => one === values.topology);
if (topology === undefined) throw new Error(`--topology: ${topologies.join(', ')}`);
const isRight = await soak({
  minutes: Number(values.minutes),
  topology,
  seed: Number(values.seed),
  only: values.only,
  without: values.without,
  entry: values.gateway === undefined ? undefined : pathOf(values.gateway),
});
if (!isRight) process.exitCode = 1;

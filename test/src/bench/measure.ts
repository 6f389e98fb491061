import { median } from '../testing/median.ts';
import { cpuSeconds } from '../testing/process-cpu.ts';
import { peakMemory, residentMemory } from '../testing/process-memory.ts';
import type { Running } from './contender.ts';
import type { Driven, Order } from './drive.ts';

/** One turn of a contender. */
interface Turn extends Driven {
  /** CPU time of its process, user and system, in microseconds a review. */
  readonly cpu: number;
  /** The resident memory of its process after the turn, in MiB. */
  readonly memory: number;
}

/** A contender under one load. */
export interface Row {
  readonly name: string;
  readonly order: Order;
  readonly turns: readonly Turn[];
  /** The maximum memory that its process ever used, in MiB. */
  readonly peak: number;
}

export interface Named {
  readonly name: string;
  readonly running: Running;
}

export interface Rounds {
  readonly rounds: number;
  /** Called before each turn. */
  onTurn?(words: string): void;
}

/**
 * Lets contenders take turns under the same load, another one first each round. Other work of the machine affects all of them
 * alike, so ratios of one round mean something, and the figures alone little. A turn before the first round does not count.
 */
export async function measure(
  contenders: readonly Named[],
  order: Order,
  { rounds, onTurn }: Rounds,
): Promise<Row[]> {
  const turns = new Map<Named, Turn[]>(contenders.map((one) => [one, []]));
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const one = contenders[(round + turn) % contenders.length] as Named;
      onTurn?.(
        `${order.protocol}, ${order.at} concurrent, round ${round} of ${rounds}: ${one.name}`,
      );
      const done = await takeTurn(one, order);
      if (round > 0) turns.get(one)?.push(done);
    }
  }
  return await Promise.all(
    contenders.map(async (one) => {
      await one.running.verify?.();
      return {
        name: one.name,
        order,
        turns: turns.get(one) ?? [],
        peak: await peakMemory(one.running.pid),
      };
    }),
  );
}

async function takeTurn({ name, running }: Named, order: Order): Promise<Turn> {
  const before = await cpuSeconds(running.pid);
  const driven = await running.drive(order).catch((error: unknown) => {
    throw new Error(
      `${name}, ${order.at} concurrent: ${error instanceof Error ? error.message : error}`,
    );
  });
  const used = (await cpuSeconds(running.pid)) - before;
  const memory = await residentMemory(running.pid);
  return { ...driven, cpu: (used * 1e6) / driven.reviews, memory };
}

export type Figure = (turn: Turn) => number;

/** The figures of the table, by their names there. */
export const figures: Readonly<Record<string, Figure>> = {
  'reviews/s': ({ reviews, seconds }) => reviews / seconds,
  'p50 ms': ({ p50 }) => p50,
  'p99 ms': ({ p99 }) => p99,
  'CPU µs': ({ cpu }) => cpu,
};

export function medianOf({ turns }: Row, figure: Figure): number {
  return median(turns.map(figure));
}

/** Computes the median of the ratios of each round. */
export function ratioOf(row: Row, baseline: Row, figure: Figure): number {
  return median(
    row.turns.map((turn, round) => figure(turn) / figure(baseline.turns[round] as Turn)),
  );
}

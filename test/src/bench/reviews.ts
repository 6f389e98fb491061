import type { Place } from './contender.ts';
import type { Order } from './drive.ts';
import type { Named, Row } from './measure.ts';
import { measure } from './measure.ts';
import { type Offered, offerMore } from './offered-load.ts';
import type { Options } from './options.ts';
import { selected } from './selected.ts';

export interface Reviews {
  readonly rows: readonly Row[];
  /** The latencies at offered rates. They are measured only with `--plot`. */
  readonly offered: readonly Offered[];
}

/** Starts the contenders that the options select, and measures each of them under each load. */
export async function measureReviews(
  place: Place,
  options: Options,
  progress: (words: string) => void,
): Promise<Reviews> {
  const started: Named[] = [];
  for (const { name, contender, entry } of selected(options)) {
    progress(`starting ${name}`);
    started.push({ name, running: await contender.start(place, entry) });
  }
  const rows: Row[] = [];
  for (const protocol of options.protocols) {
    for (const at of options.at) {
      const order: Order = { protocol, at, ...options.length };
      rows.push(...(await measure(started, order, { rounds: options.rounds, onTurn: progress })));
    }
  }
  const offered = options.plot === undefined ? [] : await offerMore(started, progress);
  return { rows, offered };
}

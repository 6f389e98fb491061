import type { Contender, Place } from './contender.ts';
import { contenders } from './contenders.ts';
import type { Order } from './drive.ts';
import type { Named, Row } from './measure.ts';
import { measure } from './measure.ts';
import { type Offered, offerMore } from './offered-load.ts';
import type { Options } from './options.ts';

export interface Reviews {
  readonly rows: readonly Row[];
  /** Only with `--plot`. */
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

interface Selected {
  readonly name: string;
  readonly contender: Contender;
  readonly entry: string;
}

function selected({ only, entries }: Options): Selected[] {
  const all = contenders.flatMap((contender) => {
    const versions = contender.isGateway ? [...entries] : [['', ''] as const];
    return versions.map(([version, entry]) => ({
      name: version === '' ? contender.name : `${contender.name}@${version}`,
      contender,
      entry,
    }));
  });
  return all.filter(
    ({ name, contender }) => only === undefined || only.includes(name) || only.includes(contender.name),
  );
}

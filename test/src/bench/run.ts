/** `pnpm bench`: what a review costs, beside servers that do less. Run it with --help. */

import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ClientMessage } from './client.ts';
import { contenders, type Place } from './contenders.ts';
import type { Driven, Protocol } from './drive.ts';
import { measure, type Named, type Row } from './measure.ts';
import { tableOf } from './table.ts';
import { createTls } from './tls.ts';
import { startWorker } from './worker.ts';

const usage = `usage: pnpm bench [OPTIONS]

  --only a,b            contenders; the baseline is always one of them. All of them:
                        ${contenders.map(({ name }) => name).join(', ')}
  --at 1,8,64           reviews in progress at a time
  --protocol h2         h2, http1.1 or h2,http1.1
  --rounds 7            turns of each contender that are counted
  --seconds 1           the length of a turn; or --reviews N
  --gateway FILE        the gateway's entry, or several to compare: old=FILE,new=FILE
  --baseline stack      the contender that ratios are to
  --json FILE           writes all figures of all turns
`;

const { values } = parseArgs({
  // pnpm passes the -- that separates its own options on.
  args: process.argv.slice(2).filter((word) => word !== '--'),
  options: {
    only: { type: 'string' },
    at: { type: 'string', default: '1,8,64' },
    protocol: { type: 'string', default: 'h2' },
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '1' },
    reviews: { type: 'string' },
    gateway: { type: 'string' },
    baseline: { type: 'string', default: 'stack' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit();
}

const list = (text: string): string[] => text.split(',').filter((word) => word !== '');

/** Entries by the names that the contenders get. One alone needs no name. */
function entriesOf(text: string | undefined): ReadonlyMap<string, string> {
  const checkout = join(
    dirname(createRequire(import.meta.url).resolve('@sallyport/gateway/package.json')),
    'src/sallyport.js',
  );
  if (text === undefined) return new Map([['', checkout]]);
  return new Map(
    list(text).map((word) => {
      const [, name = '', file = ''] = /^(?:([\w.-]+)=)?(.+)$/.exec(word) ?? [];
      // pnpm runs this in the package's folder, and INIT_CWD is where the user is.
      return [name, resolve(process.env.INIT_CWD ?? '.', file)];
    }),
  );
}

async function main(): Promise<void> {
  const { baseline } = values;
  const wanted = values.only === undefined ? undefined : [baseline, ...list(values.only)];
  const unknown = wanted?.find((name) => !contenders.some((one) => one.name === name.split('@')[0]));
  if (unknown !== undefined) throw new Error(`--only: no contender ${unknown}\n\n${usage}`);
  await using resources = new AsyncDisposableStack();
  const client = resources.use(startWorker<ClientMessage, Driven>('client.ts'));
  const place: Place = { tls: await createTls(resources), client, resources };
  const entries = entriesOf(values.gateway);
  const started: Named[] = [];
  for (const contender of contenders) {
    for (const [version, entry] of contender.isGateway ? entries : new Map([['', '']])) {
      const name = version === '' ? contender.name : `${contender.name}@${version}`;
      if (wanted !== undefined && !wanted.includes(name) && !wanted.includes(contender.name)) continue;
      progress(`starting ${name}`);
      started.push({ name, running: await contender.start(place, entry) });
    }
  }
  const rows: Row[] = [];
  for (const protocol of list(values.protocol) as Protocol[]) {
    for (const at of list(values.at).map(Number)) {
      const order = {
        protocol,
        at,
        ...(values.reviews ? { reviews: Number(values.reviews) } : { seconds: Number(values.seconds) }),
      };
      rows.push(...(await measure(started, order, { rounds: Number(values.rounds), onTurn: progress })));
    }
  }
  progress('');
  const machine = `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model.trim()}`;
  console.log(
    `${machine}\nRatios (×) are to ${baseline}, of the same round; all figures are medians of ${values.rounds} rounds.\n`,
  );
  console.log(tableOf(rows, baseline));
  if (values.json !== undefined) {
    await writeFile(
      resolve(process.env.INIT_CWD ?? '.', values.json),
      `${JSON.stringify({ machine, baseline, rows }, undefined, 2)}\n`,
    );
  }
}

/** One line that changes, on a terminal. */
function progress(words: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${words}`);
}

await main();

import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { contenders } from './contenders.ts';
import type { Protocol } from './drive.ts';

const names = contenders.map(({ name }) => name);

/** The indentation of the help's second column. */
const indent = ' '.repeat(24);

export const usage: string = `usage: pnpm bench [OPTIONS]        what a review costs, compared with servers that do less
       pnpm bench start [OPTIONS]  from the spawn to ready, idle memory, and the time of --help
       pnpm bench memory [OPTIONS]  idle, in a load and after it, and with 50,000 cached users
       pnpm bench scale [OPTIONS]  a million tokens, 100,000 static tokens, 10,000 connections
       pnpm bench profile [OPTIONS]  where the CPU time of a gateway goes

  --gateway FILE        the gateway's entry, or several to compare: old=FILE,new=FILE
  --rounds 7            turns of each contender that are counted
  --json FILE           writes all figures of all turns
for reviews, and some of it for profiles:
  --only a,b            contenders; the baseline is always one of them. All of them:
${[names.slice(0, 8), names.slice(8, 16), names.slice(16)].map((some) => indent + some.join(', ')).join('\n')}
  --at 1,8,64           reviews in progress at a time
  --protocol h2         h2, http1.1 or h2,http1.1
  --seconds 1           the length of a turn; or --reviews N
  --baseline stack      the contender that ratios are to
  --plot FILE.svg       also offers more and more reviews a second, and draws the latencies
for memory:
  --at 64               reviews in progress at a time
  --reviews 100000      the length of the load
for scale:
  --tokens 1000000      how many distinct tokens are sent`;

export interface Options {
  readonly mode: 'reviews' | 'start' | 'memory' | 'scale' | 'profile';
  /** Entries of the gateway by the names that the contenders get: `''` for one that needs no name. */
  readonly entries: ReadonlyMap<string, string>;
  readonly rounds: number;
  /** The files to write, as absolute paths. */
  readonly json: string | undefined;
  readonly plot: string | undefined;
  /** Names of contenders, with or without the name of a gateway. Undefined for all. */
  readonly only: readonly string[] | undefined;
  readonly at: readonly number[];
  readonly protocols: readonly Protocol[];
  /** The length of a turn: one of the two. */
  readonly length: { readonly seconds: number } | { readonly reviews: number };
  readonly baseline: string;
  readonly tokens: number;
}

/** Parses the options. @throws Error for a wrong one, with its name */
export function parseOptions(words: readonly string[]): Options | 'help' {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      gateway: { type: 'string' },
      rounds: { type: 'string', default: '7' },
      json: { type: 'string' },
      plot: { type: 'string' },
      only: { type: 'string' },
      at: { type: 'string' },
      protocol: { type: 'string', default: 'h2' },
      seconds: { type: 'string', default: '1' },
      reviews: { type: 'string' },
      baseline: { type: 'string', default: 'stack' },
      tokens: { type: 'string', default: '1000000' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const [mode = 'reviews', ...rest] = positionals;
  if (rest.length > 0 || !['reviews', 'start', 'memory', 'scale', 'profile'].includes(mode)) {
    throw new Error(`unknown command ${positionals.join(' ')}`);
  }
  const only = values.only === undefined ? undefined : [values.baseline, ...list(values.only)];
  for (const name of [values.baseline, ...(only ?? [])]) {
    if (!names.includes(name.split('@')[0] ?? ''))
      throw new Error(`--only, --baseline: no contender ${name}`);
  }
  const protocols = list(values.protocol);
  if (!protocols.every((one) => one === 'h2' || one === 'http1.1'))
    throw new Error('--protocol: h2 or http1.1');
  const at = list(values.at ?? (mode === 'memory' ? '64' : '1,8,64'));
  if (mode === 'memory' && at.length !== 1) throw new Error('--at: one number for memory');
  return {
    mode: mode as Options['mode'],
    entries: entriesOf(values.gateway),
    rounds: count('--rounds', values.rounds),
    json: values.json && pathOf(values.json),
    plot: values.plot && pathOf(values.plot),
    only,
    at: at.map((text) => count('--at', text)),
    protocols,
    length: values.reviews
      ? { reviews: count('--reviews', values.reviews) }
      : { seconds: positive('--seconds', values.seconds) },
    baseline: values.baseline,
    tokens: count('--tokens', values.tokens),
  };
}

const list = (text: string): string[] => text.split(',').filter((word) => word !== '');

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${name}: ${text} is not a number above 0`);
  return value;
}

function count(name: string, text: string): number {
  const value = positive(name, text);
  if (!Number.isInteger(value)) throw new Error(`${name}: ${text} is not an integer`);
  return value;
}

// pnpm runs this in the package's folder, and INIT_CWD is where the user is.
export const pathOf = (text: string): string => resolve(process.env.INIT_CWD ?? '.', text);

/** The gateway of this checkout, as `pnpm start` runs it. */
export const checkout: string = join(
  dirname(createRequire(import.meta.url).resolve('@sallyport/gateway/package.json')),
  'src/sallyport.js',
);

function entriesOf(text: string | undefined): ReadonlyMap<string, string> {
  if (text === undefined) return new Map([['', checkout]]);
  return new Map(
    list(text).map((word) => {
      const [, name = '', file = ''] = /^(?:([\w.-]+)=)?(.+)$/.exec(word) ?? [];
      return [name, pathOf(file)];
    }),
  );
}

import { cpuSeconds } from '../testing/process-cpu.ts';
import { residentMemory } from '../testing/process-memory.ts';
import { staticCase } from './cases.ts';
import { asTarget, type Contender, type GatewayCase, gateway, type Place } from './contender.ts';
import { metric, startBenchGateway } from './gateway.ts';
import type { IdleMessage } from './idle-connections.ts';
import { measure, type Row } from './measure.ts';
import { cachedUsersCase, numberedSetup } from './numbered.ts';
import type { Options } from './options.ts';
import type { Question } from './questions.ts';
import { startWorker } from './worker.ts';

/** The resources of a gateway after a number of distinct tokens. */
interface TokensRow {
  readonly gateway: string;
  readonly tokens: number;
  /** The number of answers in its cache. */
  readonly entries: number;
  /** Resident memory, in MiB. */
  readonly memory: number;
  /** CPU of its process for the reviews since the row before, in microseconds a review. */
  readonly cpu: number;
}

export interface Scale {
  readonly tokens: readonly TokensRow[];
  /** The pairs of contenders: few of something, then many. */
  readonly pairs: readonly (readonly Row[])[];
}

type Progress = (words: string) => void;

const idleCount = 10_000;

/** The pairs in the order of the printed lines: few of something, then many. */
const pairs: readonly (readonly Contender[])[] = [
  [
    gateway('10 static tokens', () => staticCase({}, 10)),
    gateway('100,000 static tokens', () => staticCase({}, 100_000)),
  ],
  [
    gateway('10 cached users', () => cachedUsersCase(10)),
    gateway('50,000 cached users', () => cachedUsersCase(50_000)),
  ],
  [
    gateway('no idle connection', () => staticCase()),
    gateway('idle connections', idleConnectionsCase),
  ],
];

export async function measureScale(
  place: Place,
  options: Options,
  progress: Progress,
): Promise<Scale> {
  const tokens: TokensRow[] = [];
  const measured: Row[][] = [];
  for (const [name, entry] of options.entries) {
    tokens.push(...(await sendDistinctTokens(place, name, entry, options.tokens, progress)));
    for (const pair of pairs) {
      await using resources = new AsyncDisposableStack();
      const started = [];
      for (const contender of pair) {
        progress(`starting ${name} ${contender.name}`);
        const running = await contender.start({ ...place, resources }, entry);
        started.push({
          name: [running.name ?? contender.name, name].filter(Boolean).join('@'),
          running,
        });
      }
      const { rounds, length } = options;
      measured.push(
        await measure(started, { protocol: 'h2', at: 8, ...length }, { rounds, onTurn: progress }),
      );
    }
  }
  return { tokens, pairs: measured };
}

/** Sends distinct tokens to a gateway. @returns one row for each tenth of them */
async function sendDistinctTokens(
  place: Place,
  name: string,
  entry: string,
  count: number,
  progress: Progress,
): Promise<TokensRow[]> {
  await using started = await startBenchGateway({
    entry,
    tls: place.tls,
    ...(await numberedSetup()),
  });
  const target = await asTarget(place, started.url, 'numbered');
  const rows: TokensRow[] = [];
  const part = Math.ceil(count / 10);
  for (let sent = part; sent <= count; sent += part) {
    progress(`${sent} of ${count} distinct tokens to ${name || entry}`);
    const before = await cpuSeconds(started.pid);
    const { reviews } = await target.drive({ protocol: 'h2', at: 16, reviews: part });
    const cpu = (((await cpuSeconds(started.pid)) - before) * 1e6) / reviews;
    const entries = await metric(started.adminUrl, 'sallyport_cache_entries', ['tier="memory"']);
    rows.push({
      gateway: name,
      tokens: sent,
      entries,
      memory: await residentMemory(started.pid),
      cpu,
    });
  }
  return rows;
}

/** A gateway with idle connections, each of which was used once. */
function idleConnectionsCase({ tls, resources }: Place): GatewayCase {
  const setup = staticCase();
  return {
    ...setup,
    async occupy(url) {
      const worker = resources.use(startWorker<IdleMessage, number>('idle-connections.ts'));
      const [question] = setup.questions as [Question];
      const opened = await worker.ask({ url, tls: tls.client, count: idleCount, question });
      return `${opened} of ${idleCount} idle connections`;
    },
  };
}

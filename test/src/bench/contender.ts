import { reviewBody } from '../testing/token-review.ts';
import { randomToken } from '../testing/tokens.ts';
import type { Backends, Robot } from './backends.ts';
import type { ClientMessage } from './client.ts';
import type { Driven, OfferedPoint, Order } from './drive.ts';
import { type BenchGatewaySetup, startBenchGateway } from './gateway.ts';
import type { Question } from './questions.ts';
import { constantUser, type ServerKind, type ServerMessage } from './server.ts';
import type { Tls } from './tls.ts';
import { startWorker, type Worker } from './worker.ts';

/** What all contenders of a run share. */
export interface Place {
  readonly tls: Tls;
  readonly client: Worker<ClientMessage, unknown>;
  readonly backends: Backends;
  /** Of the Node that runs a gateway. */
  readonly nodeArguments?: readonly string[];
  /** Disposed at the end of the run. */
  readonly resources: AsyncDisposableStack;
}

/** A contender that has started. */
export interface Running {
  /** What it is called, if the start has more to say than the contender's name. */
  readonly name?: string;
  /** The process whose CPU and memory are measured. */
  readonly pid: number;
  drive(order: Order): Promise<Driven>;
  /** Sends reviews at a fixed rate over HTTP/2; undefined if it can't keep up. What is no server has none. */
  offer?(rate: number, seconds: number): Promise<OfferedPoint | undefined>;
  /** Throws if the reviews did not go the way that the contender is there for. */
  verify?(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** True: it runs once for each `--gateway`. */
  readonly isGateway: boolean;
  /** @param entry the file of the gateway */
  start(place: Place, entry: string): Promise<Running>;
}

let targets = 0;

/** Makes a server known to the load client. */
export async function asTarget(
  { client, tls }: Place,
  url: string,
  questions: readonly Question[] | 'numbered',
): Promise<Required<Pick<Running, 'drive' | 'offer'>>> {
  const id = targets++;
  await client.ask({ kind: 'target', target: { id, url, tls: tls.client, questions } });
  return {
    drive: async (order) => (await client.ask({ kind: 'drive', id, order })) as Driven,
    offer: async (rate, seconds) =>
      (await client.ask({ kind: 'offer', id, rate, seconds })) as OfferedPoint | undefined,
  };
}

export const tokenCount = 200;

const constantQuestions = (): Question[] =>
  Array.from({ length: tokenCount }, () => ({ body: reviewBody(randomToken()), username: constantUser }));

export const robotCount = 2_000;

export const robotQuestions = (robots: readonly Robot[]): Question[] =>
  robots.map(({ token, username }) => ({ body: reviewBody(token), username }));

export function server(name: ServerKind): Contender {
  return {
    name,
    isGateway: false,
    async start(place) {
      const worker = place.resources.use(startWorker<ServerMessage, string>('server.ts'));
      const redisUrl = name === 'stack-redis' ? (await place.backends.redis()).url : undefined;
      const url = await worker.ask({ kind: name, tls: place.tls.server, ...(redisUrl && { redisUrl }) });
      const questions = redisUrl ? robotQuestions(await place.backends.robots(robotCount)) : constantQuestions();
      const target = await asTarget(place, url, questions);
      await target.drive({ protocol: 'h2', at: 16, reviews: usualPrime });
      return { pid: worker.pid, ...target };
    },
  };
}

const usualPrime = 1_000;

export interface GatewayCase extends Pick<BenchGatewaySetup, 'config' | 'files'> {
  readonly questions: readonly Question[];
  /** False: only probes look at it. Default: also Prometheus, and an open status page. */
  readonly isWatched?: boolean;
  /** How many reviews are sent before the first turn. Default 1,000: V8 compiles code that is used often. */
  readonly prime?: number;
  /** Does what is done to it before the first turn, besides reviews. Returns a name that says so. */
  occupy?(url: string): Promise<string>;
  verify?(adminUrl: string): Promise<void>;
}

/** The paths that are fetched, and after how many milliseconds each. */
type Looks = Readonly<Record<string, number>>;

/**
 * What a kubelet does by default. Without it, a process would serve one kind of request alone, for which V8 makes code
 * that is faster by some hundredths, and that the first probe makes it give up.
 */
const probes: Looks = { '/livez': 10_000, '/readyz': 10_000 };

/** Twelve times as often as Prometheus asks by default, and as often as an open status page does. */
const watchers: Looks = { '/metrics': 5_000, '/status.json': 2_000 };

function lookAt(adminUrl: string, looks: Looks): Disposable {
  const timers = Object.entries(looks).map(([path, interval]) => {
    // The result is ignored: only the reviews of the gateway are measured.
    const ask = () => {
      fetch(new URL(path, adminUrl)).then(
        (answer) => answer.text(),
        () => {},
      );
    };
    ask();
    return setInterval(ask, interval);
  });
  return {
    [Symbol.dispose]: () => {
      for (const timer of timers) clearInterval(timer);
    },
  };
}

/** @param prepare makes the config, and what is asked */
export function gateway(name: string, prepare: (place: Place) => Promise<GatewayCase> | GatewayCase): Contender {
  return {
    name,
    isGateway: true,
    async start(place, entry) {
      const { questions, verify, occupy, isWatched = true, prime = usualPrime, ...setup } = await prepare(place);
      const { tls, nodeArguments = [] } = place;
      const started = place.resources.use(await startBenchGateway({ entry, tls, nodeArguments, ...setup }));
      place.resources.use(lookAt(started.adminUrl, isWatched ? { ...probes, ...watchers } : probes));
      const target = await asTarget(place, started.url, questions);
      await target.drive({ protocol: 'h2', at: 16, reviews: prime });
      const name = await occupy?.(started.url);
      const check = verify && { verify: () => verify(started.adminUrl) };
      return { pid: started.pid, ...target, ...check, ...(name !== undefined && { name }) };
    },
  };
}

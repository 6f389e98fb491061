import { randomToken } from '@sallyport/test-servers/tokens';
import { reviewBody } from '../testing/token-review.ts';
import type { Backends, Robot } from './backends.ts';
import type { ClientMessage } from './client.ts';
import type { Driven, OfferedPoint, Order } from './drive.ts';
import { type BenchGatewaySetup, startBenchGateway } from './gateway.ts';
import type { Question } from './questions.ts';
import type { Tls } from './tls.ts';
import { startWorker, type Worker } from './worker.ts';

/** The resources that all contenders of a run share. */
export interface Place {
  readonly tls: Tls;
  readonly client: Worker<ClientMessage, unknown>;
  readonly backends: Backends;
  /** Arguments of the Node that runs a gateway. */
  readonly nodeArguments?: readonly string[];
  /** The stack that is disposed at the end of the run. */
  readonly resources: AsyncDisposableStack;
}

/** A contender that has started. */
export interface Running {
  /** Its name, if the start says more than the name of the contender. */
  readonly name?: string;
  /** The process whose CPU and memory are measured. */
  readonly pid: number;
  drive(order: Order): Promise<Driven>;
  /** Sends reviews at a fixed rate over HTTP/2. The result is undefined if it can't keep up. Only servers have this. */
  offer?(rate: number, seconds: number): Promise<OfferedPoint | undefined>;
  /** @throws Error if the reviews did not use the part that the contender measures */
  verify?(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** Whether it runs once for each `--gateway`. */
  readonly isGateway: boolean;
  /** @param entry the file of the gateway */
  start(place: Place, entry: string): Promise<Running>;
}

/** `http2` is only Node, `koa` is Koa with a few lines that read the body, `stack` is Koa, @koa/router and koa-bodyparser. */
type ServerKind = 'http2' | 'koa' | 'stack' | 'stack-redis';

/** The message to server.js. It answers the URL. */
interface ServerMessage {
  readonly kind: ServerKind;
  readonly tls: Tls['server'];
  /** The Redis in which `stack-redis` looks each token up. */
  readonly redisUrl?: string;
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

/** The number of reviews before the first turn: V8 compiles code that is used often. */
const usualPrime = 1_000;

export const tokenCount = 200;

const constantQuestions = (): Question[] =>
  Array.from({ length: tokenCount }, () => ({
    body: reviewBody(randomToken()),
    username: 'user-0',
  }));

export const robotCount = 2_000;

export const robotQuestions = (robots: readonly Robot[]): Question[] =>
  robots.map(({ token, username }) => ({ body: reviewBody(token), username }));

const serverFile = new URL('./server.js', import.meta.url);

/** Makes a contender of a server. @param prime the number of reviews before the first turn */
export function server(name: ServerKind, prime: number = usualPrime): Contender {
  return {
    name,
    isGateway: false,
    async start(place) {
      const worker = place.resources.use(startWorker<ServerMessage, string>(serverFile));
      const redisUrl = name === 'stack-redis' ? (await place.backends.redis()).url : undefined;
      const url = await worker.ask({
        kind: name,
        tls: place.tls.server,
        ...(redisUrl && { redisUrl }),
      });
      const questions = redisUrl
        ? robotQuestions(await place.backends.robots(robotCount))
        : constantQuestions();
      const target = await asTarget(place, url, questions);
      await target.drive({ protocol: 'h2', at: 16, reviews: prime });
      return { pid: worker.pid, ...target };
    },
  };
}

export interface GatewayCase extends Pick<BenchGatewaySetup, 'config' | 'files'> {
  readonly questions: readonly Question[];
  /** Whether Prometheus and an open status page watch it, and not only probes. Default true. */
  readonly isWatched?: boolean;
  /** The number of reviews before the first turn. Default 1,000. */
  readonly prime?: number;
  /** Prepares the gateway before the first turn, after the first reviews. @returns a name that says how */
  occupy?(url: string): Promise<string>;
  verify?(adminUrl: string): Promise<void>;
}

/** The paths that are fetched, and the interval of each in milliseconds. */
type Looks = Readonly<Record<string, number>>;

/**
 * The probes of a kubelet, with its defaults. Without them, a process would serve only one kind of request. V8 makes code for
 * it that is some hundredths faster, and gives that code up at the first probe.
 */
const probes: Looks = { '/livez': 10_000, '/readyz': 10_000 };

/** Prometheus, twelve times as often as by default, and an open status page. */
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

/** Makes a contender of a gateway. @param prepare makes the config and the questions */
export function gateway(
  name: string,
  prepare: (place: Place) => Promise<GatewayCase> | GatewayCase,
): Contender {
  return {
    name,
    isGateway: true,
    async start(place, entry) {
      const {
        questions,
        verify,
        occupy,
        isWatched = true,
        prime = usualPrime,
        ...setup
      } = await prepare(place);
      const { tls, nodeArguments = [] } = place;
      const started = place.resources.use(
        await startBenchGateway({ entry, tls, nodeArguments, ...setup }),
      );
      place.resources.use(
        lookAt(started.adminUrl, isWatched ? { ...probes, ...watchers } : probes),
      );
      const target = await asTarget(place, started.url, questions);
      await target.drive({ protocol: 'h2', at: 16, reviews: prime });
      const name = await occupy?.(started.url);
      const check = verify && { verify: () => verify(started.adminUrl) };
      return { pid: started.pid, ...target, ...check, ...(name !== undefined && { name }) };
    },
  };
}

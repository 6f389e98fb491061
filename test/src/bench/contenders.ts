import { staticAuthenticator, tokensFile } from '../testing/static-tokens.ts';
import { reviewBody } from '../testing/token-review.ts';
import { randomToken } from '../testing/tokens.ts';
import type { ClientMessage, Question } from './client.ts';
import type { Driven, Order } from './drive.ts';
import { type GatewaySetup, startGateway } from './gateway.ts';
import { constantUser, type ServerKind, type ServerMessage } from './server.ts';
import type { Tls } from './tls.ts';
import { startWorker, type Worker } from './worker.ts';

/** What all contenders of a run share. */
export interface Place {
  readonly tls: Tls;
  readonly client: Worker<ClientMessage, Driven>;
  /** Disposed at the end of the run. */
  readonly resources: AsyncDisposableStack;
}

/** A contender that has started. */
export interface Running {
  /** The process whose CPU and memory are measured. */
  readonly pid: number;
  drive(order: Order): Promise<Driven>;
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
  questions: readonly Question[],
): Promise<Running['drive']> {
  const id = targets++;
  await client.ask({ kind: 'target', target: { id, url, tls: tls.client, questions } });
  return (order) => client.ask({ kind: 'drive', id, order });
}

const tokenCount = 200;

const constantQuestions = (): Question[] =>
  Array.from({ length: tokenCount }, () => ({ body: reviewBody(randomToken()), username: constantUser }));

function server(name: ServerKind): Contender {
  return {
    name,
    isGateway: false,
    async start(place) {
      const worker = place.resources.use(startWorker<ServerMessage, string>('server.ts'));
      const url = await worker.ask({ kind: name, tls: place.tls.server });
      return { pid: worker.pid, drive: await asTarget(place, url, constantQuestions()) };
    },
  };
}

export interface GatewayCase extends Pick<GatewaySetup, 'config' | 'files'> {
  readonly questions: readonly Question[];
  verify?(adminUrl: string): Promise<void>;
}

/** @param prepare makes the config, and what is asked */
export function gateway(name: string, prepare: (place: Place) => Promise<GatewayCase> | GatewayCase): Contender {
  return {
    name,
    isGateway: true,
    async start(place, entry) {
      const { questions, verify, ...setup } = await prepare(place);
      const started = place.resources.use(await startGateway({ entry, tls: place.tls, ...setup }));
      const drive = await asTarget(place, started.url, questions);
      return { pid: started.pid, drive, ...(verify && { verify: () => verify(started.adminUrl) }) };
    },
  };
}

/** Static tokens, with what is changed of their authenticator. */
function staticCase(entry: object = {}): GatewayCase {
  const tokens = Array.from({ length: tokenCount }, (_, at) => ({ token: randomToken(), username: `user-${at}` }));
  return {
    config: { authenticators: [{ ...staticAuthenticator, ...entry }] },
    files: { 'tokens.yaml': tokensFile(Object.fromEntries(tokens.map(({ token, username }) => [token, username]))) },
    questions: tokens.map(({ token, username }) => ({ body: reviewBody(token), username })),
  };
}

const unknownCount = 20_000;

export const contenders: readonly Contender[] = [
  server('http2'),
  server('koa'),
  server('stack'),
  gateway('static', () => staticCase()),
  gateway('memory', () => staticCase({ cache: { store: 'memory' } })),
  gateway('unknown', () => ({
    ...staticCase(),
    questions: Array.from({ length: unknownCount }, () => ({ body: reviewBody(randomToken()) })),
  })),
];

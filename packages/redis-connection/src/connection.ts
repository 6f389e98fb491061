import type { Logger, Metrics, PluginContext } from '@sallyport/authenticator';
import { type TlsSettings, watchTlsFiles } from '@sallyport/authenticator/options';
import { Cluster } from 'ioredis';
import type { RedisClient } from './client.ts';
import { type ConnectionOptions, certificateName, nameServers, type Wording } from './connection-options.ts';
import { TimedOut, within } from './deadline.ts';
import { createLinks, type Link, type StateEvents } from './links.ts';
import {
  closed,
  isReplyError,
  noAnswer,
  nodeUnreachable,
  type Problem,
  type ProblemTerms,
  problemOf,
  RedisProblem,
} from './problems.ts';

/** The other nodes of the cluster work, so one node that hangs must not open the circuit. */
const nodeSilent: Problem = { kind: 'node', problem: 'the node that has this key gave no answer in time' };

/** A connection to one Redis, to the master that sentinels name, or to all nodes of a cluster. */
export interface Connection {
  /** The servers, for messages. */
  readonly name: string;
  /**
   * Runs commands, within `commandTimeout`.
   *
   * @param timeout milliseconds, for callers with a shorter deadline than `commandTimeout`. Commands that were sent by
   *   then go on, and the connection stays
   * @throws RedisProblem
   * @throws the signal's reason when it is aborted
   */
  run<T>(work: (client: RedisClient) => Promise<T>, signal: AbortSignal, timeout?: number): Promise<T>;
  /** Explains an error of one server that `work` caught. @param host the name that its certificate must have */
  problemOf(error: unknown, host: string): string;
  /** Makes a new connection with the current TLS settings and closes the old one after that attempt. */
  renew(): void;
  /** Closes all connections, also to a server that hangs. A second call does nothing. */
  close(): Promise<void>;
}

export interface ConnectionDependencies {
  /** Called for each new connection; undefined: no TLS. */
  readonly tls: () => TlsSettings | undefined;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** In [0, 1). */
  readonly random: () => number;
  readonly wording: Wording;
}

/** The parts of a plugin's context that a connection needs. */
export type ConnectionContext = Pick<PluginContext, 'logger' | 'metrics' | 'signal' | 'watchFile'>;

/** Connects, and reconnects when the TLS files change. @throws Error when one of them can't be used */
export async function connect(
  options: ConnectionOptions,
  wording: Wording,
  context: ConnectionContext,
): Promise<Connection> {
  const { logger, metrics, signal } = context;
  let connection: Connection | undefined;
  const tls = await watchTlsFiles(options.tls, context, () => connection?.renew());
  const { secure } = options.servers;
  const dependencies = { tls: () => (secure ? tls() : undefined), logger, metrics, random: Math.random, wording };
  connection = await openConnection(options, dependencies, signal);
  return connection;
}

/** Waits until the first attempt to connect has succeeded or failed, at most for `commandTimeout`. */
export async function openConnection(
  options: ConnectionOptions,
  dependencies: ConnectionDependencies,
  signal: AbortSignal,
): Promise<Connection> {
  const { commandTimeout, servers } = options;
  const { wording } = dependencies;
  const terms = { name: certificateName(options), wording };
  const name = nameServers(servers);
  const events = createEvents(name, dependencies);
  const links = createLinks(options, dependencies, events);
  let link = links.create();
  links.use(link);
  await firstTry(link.client, commandTimeout, signal);

  let renewals = 0;
  async function replace(old: Link): Promise<void> {
    renewals += 1;
    const own = renewals;
    const next = links.create();
    await firstTry(next.client, commandTimeout, signal);
    if (links.isClosed || own !== renewals) return links.drop(next.client);
    link = next;
    links.use(next);
    if (next.state.isUp && !old.state.isUp) events.onUp();
    if (!next.state.isUp && old.state.isUp) events.onDown(next.state.problem ?? closed);
    // Commands that were sent on it have ended by then.
    setTimeout(links.drop, commandTimeout, old.client).unref();
  }

  return {
    name,
    async run(work, callSignal, timeout = commandTimeout) {
      const used = link;
      try {
        return await within(Math.min(timeout, commandTimeout), callSignal, work(used.client));
      } catch (error) {
        if (callSignal.aborted) throw callSignal.reason;
        const problem = explain(error, used, terms);
        events.onProblem(problem);
        throw new RedisProblem(problem.kind, `${name}: ${problem.problem}`);
      }
    },
    problemOf: (error, host) => problemOf(error, { name: host, wording }).problem,
    renew() {
      if (!links.isClosed) void replace(link);
    },
    async close() {
      links.close();
    },
  };
}

/** For a command that found no connection, the problem of the connection says more. */
function explain(error: unknown, { client, state: { problem } }: Link, terms: ProblemTerms): Problem {
  const own = error instanceof TimedOut ? noAnswer : problemOf(error, terms);
  if (problem?.kind === 'local' && (own.kind === 'connection' || own.kind === 'node')) return notConnected(problem);
  if (own.kind === 'timeout' && client instanceof Cluster && client.status === 'ready') return nodeSilent;
  if (isReplyError(error) || own.kind !== 'connection') return own;
  if (client instanceof Cluster && client.status === 'ready') return nodeUnreachable;
  if (problem !== undefined) return notConnected(problem);
  const isConnecting = client.status === 'connecting' || client.status === 'connect';
  return isConnecting ? notConnected(noAnswer) : own;
}

function notConnected({ kind, problem }: Problem): Problem {
  return { kind, problem: `not connected: ${problem}` };
}

async function firstTry(client: RedisClient, milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await within(milliseconds, signal, client.connect());
  } catch {
    // The client tries again by itself. Until then, callers of `run` get the reason.
  }
}

function createEvents(name: string, { logger, metrics, wording }: ConnectionDependencies): StateEvents {
  const problems = metrics.counter({
    name: 'faults_total',
    help: `Failed attempts to connect and failed commands, by kind. A rise means that ${wording.consequence}.`,
    labelNames: ['kind'],
  });
  const up = metrics.gauge({
    name: 'connected',
    help: '1 while there is a connection to Redis (to at least one node of a cluster), else 0.',
  });
  up.set({}, 0);
  return {
    onProblem: ({ kind }) => problems.inc({ kind }),
    onUp() {
      up.set({}, 1);
      logger.info({ servers: name }, 'connected to Redis');
    },
    onDown({ problem }) {
      up.set({}, 0);
      logger.warn({ servers: name, problem }, 'no connection to Redis; trying again');
    },
  };
}

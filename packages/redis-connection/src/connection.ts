import type { Logger, Metrics } from '@sallyport/authenticator';
import type { TlsSettings } from '@sallyport/plugin-options';
import { Cluster } from 'ioredis';
import type { RedisClient } from './client.ts';
import { closed, type StateEvents } from './connection-state.ts';
import { TimedOut, within } from './deadline.ts';
import { createLinks, type Link } from './links.ts';
import { type FaultTerms, faultOf, isReplyError, nodeNotReached, type RedisFault } from './redis-fault.ts';
import { RedisProblem } from './redis-problem.ts';
import { certificateName, nameServers } from './server-name.ts';
import type { ConnectionOptions, Wording } from './types.ts';

const noAnswer: RedisFault = { kind: 'timeout', problem: 'no answer in time' };

/** The rest of the cluster goes on: that one node hangs must not open the circuit for everybody. */
const nodeSilent: RedisFault = { kind: 'node', problem: 'the node that has this key gives no answer in time' };

/** A connection to one Redis, to the master that sentinels name, or to all nodes of a cluster. */
export interface Connection {
  /** Of the servers, for messages. */
  readonly name: string;
  /**
   * Has one thing done, within the time that a command may take.
   *
   * @param timeout milliseconds, for who can wait no longer; more than a command may take is as much as that. What was
   *   sent by then goes on, and the connection stays
   * @throws RedisProblem
   * @throws the signal's reason when it is aborted
   */
  run<T>(work: (client: RedisClient) => Promise<T>, signal: AbortSignal, timeout?: number): Promise<T>;
  /** What an error of one server means that `work` met and does not pass on. @param host whose certificate it has */
  problemOf(error: unknown, host: string): string;
  /** Makes a new connection with the TLS settings of now and lets the old one go once that was tried. */
  renew(): void;
  /** Ends all connections, also to a server that hangs. A second call does nothing. */
  close(): Promise<void>;
}

export interface ConnectionDependencies {
  /** Read at each `renew`; undefined when TLS is not spoken. */
  readonly tls: () => TlsSettings | undefined;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** In [0, 1). */
  readonly random: () => number;
  readonly wording: Wording;
}

/** Waits until the first try to connect has ended, well or not, and no longer than one command may take. */
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
    if (!next.state.isUp && old.state.isUp) events.onDown(next.state.fault ?? closed);
    // What it was asked before has its answer by then, or none.
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
        const { kind, problem } = explain(error, used, terms);
        events.onFault({ kind, problem });
        throw new RedisProblem(kind, `${name}: ${problem}`);
      }
    },
    problemOf: (error, host) => faultOf(error, { name: host, wording }).problem,
    renew() {
      if (!links.isClosed) void replace(link);
    },
    async close() {
      links.close();
    },
  };
}

/** A command that found no connection: what the connection itself died of says more. */
function explain(error: unknown, { client, state: { fault } }: Link, terms: FaultTerms): RedisFault {
  const own = error instanceof TimedOut ? noAnswer : faultOf(error, terms);
  if (fault?.kind === 'local' && (own.kind === 'connection' || own.kind === 'node')) return notConnected(fault);
  if (own.kind === 'timeout' && client instanceof Cluster && client.status === 'ready') return nodeSilent;
  if (isReplyError(error) || own.kind !== 'connection') return own;
  if (client instanceof Cluster && client.status === 'ready') return nodeNotReached;
  if (fault === undefined) return isMaking(client) ? notConnected(noAnswer) : own;
  return notConnected(fault);
}

function notConnected({ kind, problem }: RedisFault): RedisFault {
  return { kind, problem: `not connected: ${problem}` };
}

async function firstTry(client: RedisClient, milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await within(milliseconds, signal, client.connect());
  } catch {
    // Tries go on behind it, and whoever asks meanwhile is told why there is no connection.
  }
}

function createEvents(name: string, { logger, metrics, wording }: ConnectionDependencies): StateEvents {
  const faults = metrics.counter({
    name: 'faults_total',
    help: `Connections that could not be made and commands that failed, by kind. A rise means that ${wording.consequence}.`,
    labelNames: ['kind'],
  });
  const up = metrics.gauge({
    name: 'connected',
    help: '1 while there is a connection to Redis (to at least one node of a cluster), else 0.',
  });
  up.set({}, 0);
  return {
    onFault: ({ kind }) => faults.inc({ kind }),
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

/** Its first connection is neither made nor given up as yet. */
function isMaking({ status }: RedisClient): boolean {
  return status === 'connecting' || status === 'connect';
}

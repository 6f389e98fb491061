import type { PluginContext } from '@sallyport/authenticator';
import { watchTlsFiles, within } from '@sallyport/plugin-kit';
import {
  type ConnectionOptions,
  certificateName,
  nameServers,
  type Wording,
} from './connection-options.ts';
import { isCluster, isInHandshake, type RedisClient } from './nodes.ts';
import {
  describeProblem,
  isReplyError,
  noAnswer,
  nodeUnreachable,
  noHandshake,
  noNodeAnswers,
  type ProblemTerms,
  RedisProblem,
  type RedisProblemDetail,
} from './problems.ts';
import { createReplicationCheck } from './replication.ts';
import type { StateEvents, WatchedClient, WatchedClients } from './watched-clients.ts';

/** The other nodes of the cluster work, so one node that hangs must not open the circuit. */
const nodeSilent: RedisProblemDetail = {
  kind: 'node',
  problem: 'the node that has this key gave no answer in time',
};

/** A connection to one Redis, to the master that sentinels name, or to all nodes of a cluster. */
export interface RedisConnection {
  /** The servers, for messages. */
  readonly name: string;
  /**
   * Runs commands, within `commandTimeout`.
   *
   * @param signal undefined if no one aborts them
   * @param timeout milliseconds, for callers with a shorter deadline than `commandTimeout`. Commands that were sent by
   *   then go on, and the connection stays
   * @throws RedisProblem
   * @throws the signal's reason when it is aborted
   */
  run<T>(
    work: (client: RedisClient) => Promise<T>,
    signal: AbortSignal | undefined,
    timeout?: number,
  ): Promise<T>;
  /**
   * Whether a replica has confirmed what `run` has just written at a key: otherwise a failover can undo it. Never rejects. The
   * rights are PTTL, ROLE and WAIT.
   *
   * @returns undefined where there are no replicas, or the user may not ask
   */
  isReplicated(key: string): Promise<boolean | undefined>;
  /** Explains an error of one server that `work` caught. @param host the name that its certificate must have */
  describeProblem(error: unknown, host: string): string;
  /** Closes all connections, even to a server that hangs. A second call does nothing. */
  close(): Promise<void>;
}

/** The parts of a plugin's context that a connection needs. */
type ConnectionContext = Pick<
  PluginContext,
  'logger' | 'metrics' | 'signal' | 'watchFile' | 'backendReconnected'
>;

/**
 * Connects, and makes a new connection when the TLS files change. It does not fail because Redis is down: the client tries
 * again, and `run` throws the reason.
 *
 * @throws Error when a TLS file can't be used
 */
export async function connect(
  options: ConnectionOptions,
  wording: Wording,
  context: ConnectionContext,
): Promise<RedisConnection> {
  const { commandTimeout, servers } = options;
  const name = nameServers(servers);
  const terms = { name: certificateName(options), wording };
  let clients: WatchedClients | undefined;
  const readTls = await watchTlsFiles(options.tls, context, () => void clients?.renew());
  const tls = () => (servers.secure ? readTls() : undefined);
  const events = createEvents(name, wording, context);
  // This loads ioredis, which takes a while, and not every config has a Redis.
  const { openClients } = await import('./watched-clients.ts');
  const opened = await openClients(options, tls, terms, events, context.signal);
  clients = opened;
  return {
    name,
    async run(work, signal, timeout = commandTimeout) {
      const watched = opened.current;
      try {
        const limit = Math.min(timeout, commandTimeout);
        return await within({ signal, limit, late }, () => work(watched.client));
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        const problem = explain(error, watched, terms);
        events.onProblem(problem);
        throw new RedisProblem(problem.kind, `${name}: ${problem.problem}`);
      }
    },
    isReplicated: createReplicationCheck(() => opened.current.client, commandTimeout),
    describeProblem: (error, host) => describeProblem(error, { name: host, wording }).problem,
    close: async () => opened.close(),
  };
}

const late = () => new RedisProblem(noAnswer.kind, noAnswer.problem);

/** For a command that found no connection, the problem of the connection says more. */
function explain(
  error: unknown,
  { client, problem }: WatchedClient,
  terms: ProblemTerms,
): RedisProblemDetail {
  const commandProblem = describeProblem(error, terms);
  if (
    problem?.kind === 'local' &&
    (commandProblem.kind === 'connection' || commandProblem.kind === 'node')
  )
    return notConnected(problem);
  if (commandProblem.kind === 'timeout' && isCluster(client) && client.status === 'ready')
    return nodeSilent;
  if (commandProblem === noNodeAnswers && problem !== undefined) return notConnected(problem);
  if (isReplyError(error) || commandProblem.kind !== 'connection') return commandProblem;
  if (isCluster(client) && client.status === 'ready') return nodeUnreachable;
  if (problem !== undefined) return notConnected(problem);
  const isConnecting = client.status === 'connecting' || client.status === 'connect';
  if (isInHandshake(client)) return notConnected(noHandshake);
  return isConnecting ? notConnected(noAnswer) : commandProblem;
}

function notConnected({ kind, problem }: RedisProblemDetail): RedisProblemDetail {
  return { kind, problem: `not connected: ${problem}` };
}

function createEvents(name: string, wording: Wording, context: ConnectionContext): StateEvents {
  const { logger, metrics } = context;
  const problems = metrics.counter({
    name: 'errors_total',
    help: `Failed attempts to connect and failed commands, by kind. A rise means that ${wording.consequence}.`,
    labelNames: ['kind'],
  });
  const up = metrics.gauge({
    name: 'connected',
    help: '1 while there is a connection to Redis (to at least one node of a cluster), otherwise 0.',
  });
  up.set({}, 0);
  return {
    onProblem: ({ kind }) => problems.inc({ kind }),
    onUp() {
      up.set({}, 1);
      logger.info({ servers: name }, 'connected to Redis');
      context.backendReconnected?.();
    },
    onDown({ problem }) {
      up.set({}, 0);
      logger.warn({ servers: name, problem }, 'no connection to Redis; trying again');
    },
  };
}

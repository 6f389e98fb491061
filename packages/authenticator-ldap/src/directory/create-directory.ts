import { AuthenticatorError } from '@sallyport/authenticator';
import { ageText } from '@sallyport/plugin-kit';
import { ServerError, ServerSkipped, StaleConnection } from '../connection/server-error.ts';
import type { Server } from '../connection/types.ts';
import { loginError } from '../login-error.ts';
import { createConcurrencyLimit } from '../waiting.ts';
import { createDirectoryServer, type DirectoryServer } from './directory-server.ts';
import { createServerMetrics } from './metrics.ts';
import type { Use } from './server-circuit.ts';
import { createListedServers, createSrvList, createSrvResolver } from './server-list.ts';
import type { DirectoryCall, DirectoryDependencies, LdapDirectory, ServerAnswer } from './types.ts';

/** Creates the directory. It connects to no server before the first call, so all servers may be down. */
export function createDirectory(dependencies: DirectoryDependencies): LdapDirectory {
  const { options, now } = dependencies;
  const { serverTimeout: limit, maxUserBinds } = options;
  const closing = new AbortController();
  const knownServers = createKnownServers(dependencies);
  const list = createList(dependencies, closing.signal, knownServers.update);
  const limitBinds = createConcurrencyLimit(maxUserBinds);

  const inOrder = async (call: DirectoryCall) => knownServers.find(await list.inOrder(call));
  const ask = async <T>(
    use: Use,
    call: DirectoryCall,
    askServer: (server: DirectoryServer) => Promise<T>,
  ) => {
    closing.signal.throwIfAborted();
    try {
      return await askInTurn({ ...call, servers: await inOrder(call), use, ask: askServer, now });
    } catch (error) {
      // The end of the directory ends all connections. Then that is the reason.
      closing.signal.throwIfAborted();
      throw error;
    }
  };

  return {
    withService: (work, call) =>
      ask('service', call, (server) => server.withService(work, call.signal)),
    async bindUser(credentials, call) {
      const { signal } = call;
      const late = () =>
        loginError(`all ${maxUserBinds} user binds are in progress: raise maxUserBinds`);
      return limitBinds({ signal, limit, late }, () =>
        ask('user', { ...call, subject: credentials.dn }, (server) =>
          server.bindUser(credentials, call),
        ),
      );
    },
    async check(look, signal) {
      closing.signal.throwIfAborted();
      const checkOne = async (server: DirectoryServer) => ({
        server: server.server,
        ...(await server.check(look, signal)),
      });
      const reports = await Promise.all((await inOrder({ signal })).map(checkOne));
      closing.signal.throwIfAborted();
      return reports;
    },
    renewConnections: () => knownServers.renew(),
    async close() {
      closing.abort(new AuthenticatorError('unavailable', 'the directory is closed'));
      // The list comes first, so that no lookup adds servers afterwards.
      await list.close();
      await knownServers.close();
    },
  };
}

function createKnownServers(dependencies: DirectoryDependencies) {
  const metricsOf = createServerMetrics(dependencies.metrics);
  const serversByUrl = new Map<string, DirectoryServer>();

  const end = (server: DirectoryServer) => {
    serversByUrl.delete(server.server.url);
    return server.close();
  };
  return {
    update(servers: readonly Server[]): void {
      const urls = new Set(servers.map(({ url }) => url));
      for (const server of [...serversByUrl.values()])
        if (!urls.has(server.server.url)) void end(server);
      for (const server of servers) {
        if (serversByUrl.has(server.url)) continue;
        serversByUrl.set(
          server.url,
          createDirectoryServer({ ...dependencies, server, metrics: metricsOf(server.url) }),
        );
      }
    },
    find: (servers: readonly Server[]) =>
      servers.map(({ url }) => serversByUrl.get(url)).filter((server) => server !== undefined),
    renew(): void {
      for (const server of serversByUrl.values()) server.renewConnections();
    },
    async close(): Promise<void> {
      await Promise.all([...serversByUrl.values()].map(end));
    },
  };
}

function createList(
  { options, resolveSrv, logger, now, random }: DirectoryDependencies,
  closing: AbortSignal,
  onChange: (servers: readonly Server[]) => void,
) {
  const { srv, servers, order, serverTimeout } = options;
  if (srv === undefined) {
    onChange(servers);
    return createListedServers(servers, order, random);
  }
  const resolve = resolveSrv ?? createSrvResolver(srv.nameServers, serverTimeout);
  return createSrvList({ srv, options, resolve, closing, logger, now, random, onChange });
}

interface Question<T> extends DirectoryCall {
  readonly servers: readonly DirectoryServer[];
  readonly use: Use;
  readonly ask: (server: DirectoryServer) => Promise<T>;
  readonly now: () => number;
}

interface Failure {
  readonly error: ServerError | ServerSkipped;
  /** What failed. `machine` is the machine of the gateway. It is undefined for what is known already. */
  readonly concerns?: 'server' | 'login' | 'machine' | 'capacity';
}

/**
 * Asks one server after the other until one answers. It skips servers with an open circuit. At the end it asks servers
 * whose connection was stale once more, since a fresh one may work.
 *
 * @throws AuthenticatorError with each server's reason, `failed` for a problem of these logins or of this machine
 * @throws the reason of the signal, and errors of `ask` that are not about a server
 */
async function askInTurn<T>(question: Question<T>): Promise<ServerAnswer<T>> {
  const { servers, signal, now } = question;
  const reasons = new Map<DirectoryServer, string>();
  const concerned = new Set<Failure['concerns']>();
  const turns = [...servers];
  for (const [turn, server] of turns.entries()) {
    const isFirst = turn < servers.length;
    if (isFirst && server.circuit.isOpen) {
      reasons.set(server, skipped(server, now()));
      continue;
    }
    const isLast = isFirst && servers.slice(turn + 1).every(({ circuit }) => circuit.isOpen);
    const outcome = await askOne(question, server, isLast);
    if ('value' in outcome) return { value: outcome.value, server: server.server };
    if (signal.aborted) throw signal.reason;
    reasons.set(server, named(server, outcome.error.message));
    concerned.add(outcome.concerns);
    if (isFirst && outcome.error instanceof StaleConnection) turns.push(server);
  }
  const text = servers.map((server) => reasons.get(server)).join('; ');
  const cause = (['capacity', 'machine', 'login'] as const).find((kind) => concerned.has(kind));
  if (cause !== undefined) throw loginError(failed[cause](text));
  throw new AuthenticatorError('unavailable', `no directory server could answer: ${text}`);
}

/** Problems of these logins that are not an outage. The error names the first of them, in this order. */
const failed = {
  capacity: (text: string) => `no connection to the directory became free: ${text}`,
  machine: (text: string) => `no directory server could be asked: ${text}`,
  login: (text: string) => `this login got no answer: ${text}`,
};

/**
 * Whether the server was reached and asked, and then was silent. For a bind as a user, or a search
 * for a user's groups, that is not a failure of the server: users who may write their own
 * `userPassword` can store a hash that takes seconds, and one person's logins must not take the
 * server away from all. Other searches find out whether it still answers.
 */
function mayBeLogin({ kind, step }: ServerError): boolean {
  return (kind === 'timeout' || kind === 'closed') && (step === 'bind' || step === 'search');
}

/** @param hasSecondChance a stale connection is not counted: the same server is asked next, and counted then */
async function askOne<T>(
  { use, subject, ask, signal }: Question<T>,
  server: DirectoryServer,
  hasSecondChance: boolean,
): Promise<{ readonly value: T } | Failure> {
  const call = server.circuit.begin(use);
  try {
    const value = await ask(server);
    call.succeeded();
    return { value };
  } catch (error) {
    if (error instanceof ServerSkipped)
      return error.reason === 'busy' ? { error, concerns: 'capacity' } : { error };
    if (!(error instanceof ServerError)) throw error;
    if (error.kind === 'shortage') return { error, concerns: 'machine' };
    if (signal.aborted || (error instanceof StaleConnection && hasSecondChance)) return { error };
    if (subject !== undefined && mayBeLogin(error)) return { error, concerns: 'login' };
    call.failed(error.message);
    return { error, concerns: 'server' };
  }
}

/**
 * Names the server, unless the problem does: a caller that finds an error in an answer does not
 * know which server gave it.
 */
function named({ server: { url } }: DirectoryServer, problem: string): string {
  return problem.includes(url) ? problem : `${url}: ${problem}`;
}

function skipped(server: DirectoryServer, now: number): string {
  const { lastFailure } = server.circuit;
  const last =
    lastFailure === undefined ? '' : `: ${lastFailure.reason} (${ageText(now - lastFailure.at)})`;
  return named(server, `skipped, its circuit is open${last}`);
}

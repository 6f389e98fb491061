import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerError, ServerSkipped, StaleConnection } from '../connection/server-error.ts';
import type { Server } from '../connection/types.ts';
import { ageText, createSlots } from '../deadlines.ts';
import { createDirectoryServer, type DirectoryServer } from './directory-server.ts';
import { createServerMetrics } from './metrics.ts';
import type { Use } from './server-circuit.ts';
import { createListedServers, createSrvList, createSrvResolver } from './server-list.ts';
import type { Answered, Directory, DirectoryCall, DirectoryDependencies } from './types.ts';

/** Connects to no server before the first call, so it can be created while all of them are down. */
export function createDirectory(dependencies: DirectoryDependencies): Directory {
  const { options, now } = dependencies;
  const { serverTimeout: limit, maxUserBinds } = options;
  const closing = new AbortController();
  const known = createKnownServers(dependencies);
  const list = createList(dependencies, closing.signal, known.update);
  const takeSlot = createSlots(maxUserBinds);

  const inOrder = async (call: DirectoryCall) => known.find(await list.inOrder(call));
  const ask = async <T>(use: Use, call: DirectoryCall, one: (server: DirectoryServer) => Promise<T>) => {
    closing.signal.throwIfAborted();
    try {
      return await askInTurn({ ...call, servers: await inOrder(call), use, ask: one, now });
    } catch (error) {
      // The end of the directory ends all connections: that is the reason then.
      closing.signal.throwIfAborted();
      throw error;
    }
  };

  return {
    withService: (work, call) => ask('service', call, (server) => server.withService(work, call.signal)),
    async bindUser(credentials, { onLate, ...call }) {
      const { signal } = call;
      const late = () =>
        new AuthenticatorError('failed', `all ${maxUserBinds} user binds are in progress: raise maxUserBinds`);
      return takeSlot({ signal, limit, late }, () =>
        ask('user', { ...call, subject: credentials.dn }, (server) => server.bindUser(credentials, signal, onLate)),
      );
    },
    async check(look, signal) {
      closing.signal.throwIfAborted();
      const checkOne = async (one: DirectoryServer) => ({ server: one.server, ...(await one.check(look, signal)) });
      const reports = await Promise.all((await inOrder({ signal })).map(checkOne));
      closing.signal.throwIfAborted();
      return reports;
    },
    renewConnections: () => known.renew(),
    async close() {
      closing.abort(new AuthenticatorError('unavailable', 'the directory is closed'));
      // The list comes first, so that no lookup adds servers afterwards.
      await list.close();
      await known.close();
    },
  };
}

function createKnownServers(dependencies: DirectoryDependencies) {
  const metricsOf = createServerMetrics(dependencies.metrics);
  const known = new Map<string, DirectoryServer>();

  const end = (server: DirectoryServer) => {
    known.delete(server.server.url);
    return server.close();
  };
  return {
    /** Creates the servers that are new in the list, and closes those that have left it. */
    update(servers: readonly Server[]): void {
      const urls = new Set(servers.map(({ url }) => url));
      for (const server of [...known.values()]) if (!urls.has(server.server.url)) void end(server);
      for (const server of servers) {
        if (known.has(server.url)) continue;
        known.set(server.url, createDirectoryServer({ ...dependencies, server, metrics: metricsOf(server.url) }));
      }
    },
    find: (servers: readonly Server[]) =>
      servers.map(({ url }) => known.get(url)).filter((server) => server !== undefined),
    renew(): void {
      for (const server of known.values()) server.renewConnections();
    },
    async close(): Promise<void> {
      await Promise.all([...known.values()].map(end));
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
  /** In the order in which they are asked. */
  readonly servers: readonly DirectoryServer[];
  readonly use: Use;
  readonly ask: (server: DirectoryServer) => Promise<T>;
  readonly now: () => number;
}

/** Why a server gave no answer. */
interface Failure {
  readonly error: ServerError | ServerSkipped;
  /** What it concerns. `machine`: the one that the gateway runs on. Left out: it says nothing new. */
  readonly concerns?: 'server' | 'login' | 'machine' | 'capacity';
}

/**
 * Asks one server after the other until one answers; those with an open circuit are skipped. At the end those whose
 * connection was stale are asked once more, as a fresh one may work.
 *
 * @throws AuthenticatorError with each server's reason; `failed` for what is of these logins or of this machine
 * @throws the reason of the signal, and what `ask` throws that is about no server
 */
async function askInTurn<T>(question: Question<T>): Promise<Answered<T>> {
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
  const first = (['capacity', 'machine', 'login'] as const).find((one) => concerned.has(one));
  if (first !== undefined) throw new AuthenticatorError('failed', failed[first](text));
  throw new AuthenticatorError('unavailable', `no directory server could answer: ${text}`);
}

/** Problems that are of these logins, and no outage. The first of them that there is, in this order, is named. */
const failed = {
  capacity: (text: string) => `no connection to the directory became free: ${text}`,
  machine: (text: string) => `no directory server could be asked: ${text}`,
  login: (text: string) => `this login got no answer: ${text}`,
};

/**
 * The server was reached and asked, and then it was silent. That does not blame the server for a bind as a user, or for
 * a search for a user's groups: users who may write their own `userPassword` can store a hash that takes seconds, and
 * one person's logins must not take the server away from all. Other searches find out whether it still answers.
 */
function mayBeLogin({ kind, step }: ServerError): boolean {
  return (kind === 'timeout' || kind === 'closed') && (step === 'bind' || step === 'search');
}

/** @param hasSecondChance a stale connection is not counted: the same server is asked next, and that counts */
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
    if (error instanceof ServerSkipped) return error.reason === 'busy' ? { error, concerns: 'capacity' } : { error };
    if (!(error instanceof ServerError)) throw error;
    if (error.kind === 'shortage') return { error, concerns: 'machine' };
    if (signal.aborted || (error instanceof StaleConnection && hasSecondChance)) return { error };
    if (subject !== undefined && mayBeLogin(error)) return { error, concerns: 'login' };
    call.failed(error.message);
    return { error, concerns: 'server' };
  }
}

/** A caller that finds an error in an answer does not know which server gave it. */
function named({ server: { url } }: DirectoryServer, problem: string): string {
  return problem.includes(url) ? problem : `${url}: ${problem}`;
}

function skipped(server: DirectoryServer, now: number): string {
  const { lastFailure } = server.circuit;
  const last = lastFailure === undefined ? '' : `: ${lastFailure.reason} (${ageText(now - lastFailure.at)})`;
  return named(server, `skipped, its circuit is open${last}`);
}

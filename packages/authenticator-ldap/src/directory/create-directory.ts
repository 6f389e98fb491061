import { AuthenticatorError } from '@sallyport/authenticator';
import type { Server } from '../connection/types.ts';
import { createSlots } from '../deadlines.ts';
import { askInTurn } from './ask-in-turn.ts';
import { createDirectoryServer, type DirectoryServer } from './directory-server.ts';
import { createServerMetrics } from './metrics.ts';
import { createListedServers, createSrvList, createSrvResolver } from './server-list.ts';
import type { Directory, DirectoryCall, DirectoryDependencies } from './types.ts';

/** Connects to no server before the first call, so it can be created while all of them are down. */
export function createDirectory(dependencies: DirectoryDependencies): Directory {
  const { options, now } = dependencies;
  const { serverTimeout: timeout, maxUserBinds } = options;
  const closing = new AbortController();
  const known = createKnownServers(dependencies);
  const list = createList(dependencies, closing.signal, known.update);
  const takeSlot = createSlots(maxUserBinds);

  /** A signal that the end of the directory aborts, too. */
  const scoped = (signal: AbortSignal) => {
    const both = AbortSignal.any([signal, closing.signal]);
    both.throwIfAborted();
    return both;
  };
  const inOrder = async (call: DirectoryCall) => known.find(await list.inOrder(call));
  const ask = async <T>(use: 'service' | 'user', call: DirectoryCall, one: (server: DirectoryServer) => Promise<T>) =>
    askInTurn({ subject: undefined, ...call, servers: await inOrder(call), use, ask: one, now });

  return {
    async withService(work, options) {
      const signal = scoped(options.signal);
      return ask('service', { ...options, signal }, (server) => server.withService(work, signal));
    },
    async bindUser(credentials, options) {
      const signal = scoped(options.signal);
      const late = () =>
        new AuthenticatorError('failed', `all ${maxUserBinds} user binds are in progress: raise maxUserBinds`);
      return takeSlot({ signal, timeout, late }, () =>
        ask('user', { ...options, signal, subject: credentials.dn }, (server) =>
          server.bindUser(credentials, signal, options.onLate),
        ),
      );
    },
    async check(look, callerSignal) {
      const signal = scoped(callerSignal);
      const servers = await inOrder({ signal });
      const checkOne = async (one: DirectoryServer) => ({ server: one.server, problem: await one.check(look, signal) });
      return Promise.all(servers.map(checkOne));
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
  const closing = new Set<Promise<void>>();

  const end = (server: DirectoryServer) => {
    known.delete(server.server.url);
    const closed = server.close().finally(() => closing.delete(closed));
    closing.add(closed);
  };
  return {
    /** Creates the servers that are new in the list, and closes those that have left it. */
    update(servers: readonly Server[]): void {
      const urls = new Set(servers.map(({ url }) => url));
      for (const server of [...known.values()]) if (!urls.has(server.server.url)) end(server);
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
      for (const server of [...known.values()]) end(server);
      await Promise.all(closing);
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

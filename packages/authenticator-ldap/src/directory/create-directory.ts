import { AuthenticatorError, type Logger, type Metrics } from '@sallyport/authenticator';
import type { TlsSettings } from '@sallyport/plugin-options';
import type { Connect, Server } from '../connection/types.ts';
import { createScopes, type Scopes } from '../deadlines.ts';
import type { LdapOptions } from '../options/types.ts';
import { askInTurn } from './ask-in-turn.ts';
import { createDirectoryServer, type DirectoryServer } from './directory-server.ts';
import { createServerMetrics } from './metrics.ts';
import { createSlots } from './queue.ts';
import { createListedServers, createSrvList, type ServerList } from './server-list.ts';
import { createSrvResolver, type ResolveSrv } from './srv-records.ts';
import type { Directory, DirectoryCall } from './types.ts';

export interface DirectoryDependencies {
  readonly options: LdapOptions;
  readonly tls: () => TlsSettings;
  readonly connect: Connect;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** Left out: DNS, by `options.srv.nameServers`. */
  readonly resolveSrv?: ResolveSrv;
}

/** Connects to no server before the first call, so it can be created while all of them are down. */
export function createDirectory(dependencies: DirectoryDependencies): Directory {
  const { options, now } = dependencies;
  const { serverTimeout, maxUserBinds } = options;
  const scopes = createScopes();
  const known = createKnownServers(dependencies);
  const list = createList(dependencies, scopes, known.update);
  const userBinds = createSlots(maxUserBinds);

  const inOrder = async (call: DirectoryCall) => known.find(await list.inOrder(call));
  /** With a signal that the end of the directory aborts, too. */
  const inScope = async <T>(call: DirectoryCall, work: (scoped: DirectoryCall) => Promise<T>): Promise<T> => {
    const scope = scopes.open(call.signal);
    try {
      scope.signal.throwIfAborted();
      return await work({ ...call, signal: scope.signal });
    } finally {
      scope.end();
    }
  };
  const late = () =>
    new AuthenticatorError('failed', `all ${maxUserBinds} user binds are in progress: raise maxUserBinds`);

  return {
    withService: (work, options) =>
      inScope(options, async (call) => {
        const servers = await inOrder(call);
        const ask = (server: DirectoryServer) => server.withService(work, call.signal);
        return askInTurn({ ...call, subject: call.subject, servers, use: 'service', ask, now });
      }),
    bindUser: (credentials, options) =>
      inScope(options, async (call) => {
        const leave = await userBinds.take({ signal: call.signal, timeout: serverTimeout, late });
        try {
          const servers = await inOrder(call);
          const ask = (server: DirectoryServer) => server.bindUser(credentials, call.signal, options.onLate);
          return await askInTurn({ ...call, subject: credentials.dn, servers, use: 'user', ask, now });
        } finally {
          leave();
        }
      }),
    check: (look, signal) =>
      inScope({ signal }, async (call) => {
        const servers = await inOrder(call);
        return Promise.all(
          servers.map(async (one) => {
            const problem = await one.check(look, call.signal);
            return { server: one.server, ...(problem !== undefined && { problem }) };
          }),
        );
      }),
    renewConnections: () => known.renew(),
    async close() {
      scopes.abort(new AuthenticatorError('unavailable', 'the directory is closed'));
      // The list comes first, so that no lookup adds servers afterwards.
      await list.close();
      await known.close();
    },
  };
}

interface KnownServers {
  /** Creates the servers that are new in the list, and closes those that have left it. */
  update(servers: readonly Server[]): void;
  find(servers: readonly Server[]): readonly DirectoryServer[];
  renew(): void;
  close(): Promise<void>;
}

function createKnownServers(dependencies: DirectoryDependencies): KnownServers {
  const metricsOf = createServerMetrics(dependencies.metrics);
  const known = new Map<string, DirectoryServer>();
  const closing = new Set<Promise<void>>();

  const end = (server: DirectoryServer) => {
    known.delete(server.server.url);
    const closed = server.close().finally(() => closing.delete(closed));
    closing.add(closed);
  };
  return {
    update(servers) {
      const urls = new Set(servers.map(({ url }) => url));
      for (const server of [...known.values()]) if (!urls.has(server.server.url)) end(server);
      for (const server of servers) {
        if (known.has(server.url)) continue;
        known.set(server.url, createDirectoryServer({ ...dependencies, server, metrics: metricsOf(server.url) }));
      }
    },
    find: (servers) => servers.map(({ url }) => known.get(url)).filter((server) => server !== undefined),
    renew() {
      for (const server of known.values()) server.renewConnections();
    },
    async close() {
      for (const server of [...known.values()]) end(server);
      await Promise.all(closing);
    },
  };
}

function createList(
  { options, resolveSrv, logger, now, random }: DirectoryDependencies,
  scopes: Scopes,
  onChange: (servers: readonly Server[]) => void,
): ServerList {
  const { srv, servers, order, serverTimeout } = options;
  if (srv === undefined) {
    onChange(servers);
    return createListedServers(servers, order, random);
  }
  const resolve = resolveSrv ?? createSrvResolver(srv.nameServers, serverTimeout);
  return createSrvList({ srv, options, resolve, scopes, logger, now, random, onChange });
}

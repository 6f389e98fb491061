import { AuthenticatorError, type Logger, type Metrics } from '@sallyport/authenticator';
import type { TlsSettings } from '@sallyport/plugin-options';
import type { Connect, Server } from '../connection/types.ts';
import type { LdapOptions } from '../options/types.ts';
import { askInTurn } from './ask-in-turn.ts';
import { createScopes, type Scopes } from './call-scope.ts';
import { DirectoryServer } from './directory-server.ts';
import { createServerMetrics } from './metrics.ts';
import { createPlaces } from './places.ts';
import { createSrvResolver, type ResolveSrv } from './resolve-srv.ts';
import { createListedServers, type ServerList } from './server-list.ts';
import { createSrvList } from './srv-list.ts';
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

/** Connects to nothing and asks nothing before the first call, so that it can be made while everything is down. */
export function createDirectory(dependencies: DirectoryDependencies): Directory {
  const { options, now } = dependencies;
  const { serverTimeout, maxUserBinds } = options;
  const scopes = createScopes();
  const known = createKnownServers(dependencies);
  const list = createList(dependencies, scopes, known.become);
  const userBinds = createPlaces(maxUserBinds);

  const inOrder = async (call: DirectoryCall) => known.find(await list.inOrder(call));
  /** With a signal that also ends when the directory does. */
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
    new AuthenticatorError('failed', `all ${maxUserBinds} user binds are under way: raise maxUserBinds`);

  return {
    withService: (work, options) =>
      inScope(options, async (call) => {
        const ask = (server: DirectoryServer) => server.withService(work, call.signal);
        return askInTurn({ ...call, subject: call.subject, servers: await inOrder(call), use: 'service', ask, now });
      }),
    bindUser: (credentials, options) =>
      inScope(options, async (call) => {
        const leave = await userBinds.take({ signal: call.signal, timeout: serverTimeout, late });
        try {
          const ask = (server: DirectoryServer) => server.bindUser(credentials, call.signal, options.onLate);
          return await askInTurn({
            ...call,
            subject: credentials.dn,
            servers: await inOrder(call),
            use: 'user',
            ask,
            now,
          });
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
      // First, so that no lookup brings servers that nobody closes.
      await list.close();
      await known.close();
    },
  };
}

interface KnownServers {
  /** Those that are not in the list any more are closed. */
  become(servers: readonly Server[]): void;
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
    become(servers) {
      const urls = new Set(servers.map(({ url }) => url));
      for (const server of [...known.values()]) if (!urls.has(server.server.url)) end(server);
      for (const server of servers) {
        if (known.has(server.url)) continue;
        known.set(server.url, new DirectoryServer({ ...dependencies, server, metrics: metricsOf(server.url) }));
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
  const { srv, servers, order, serverTimeout, tls } = options;
  if (srv === undefined) {
    onChange(servers);
    return createListedServers(servers, order, random);
  }
  const resolve = resolveSrv ?? createSrvResolver(srv.nameServers, serverTimeout);
  const settings = { srv, order, anyTarget: tls.serverName !== undefined, timeout: 3 * serverTimeout };
  return createSrvList(settings, { resolve, scopes, logger, now, random, onChange });
}

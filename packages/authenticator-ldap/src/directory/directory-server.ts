import type { Logger } from '@sallyport/authenticator';
import type { TlsSettings } from '@sallyport/plugin-options';
import { ServerError } from '../connection/server-error.ts';
import type { BindCredentials, BindResult, Connect, Connection, Server } from '../connection/types.ts';
import { createScopes, durationText, type Scopes } from '../deadlines.ts';
import { anyEntry } from '../filter/filter.ts';
import type { LdapOptions } from '../options/types.ts';
import { createConnectionPool } from './connection-pool.ts';
import { ServerSkipped } from './errors.ts';
import { measured, type ServerMetrics } from './metrics.ts';
import { classifySearch, namedCode } from './result-codes.ts';
import { createProbe, createServerCircuit, type ServerCircuit } from './server-circuit.ts';
import { createServiceAccount, type ServerAccess, type ServiceAccount } from './service-account.ts';
import { createLend, type Lend, type Work, workOnPool } from './service-search.ts';
import type { BindCall, SearchConnection } from './types.ts';
import { createUserBinds } from './user-binds.ts';

export interface DirectoryServerDependencies {
  readonly server: Server;
  readonly options: Pick<
    LdapOptions,
    'bind' | 'circuit' | 'maxUserBinds' | 'pool' | 'reuseUserConnections' | 'serverTimeout'
  >;
  readonly tls: () => TlsSettings;
  readonly connect: Connect;
  readonly metrics: ServerMetrics;
  readonly logger: Logger;
  readonly now: () => number;
  readonly random: () => number;
}

/** One server with its circuit, its pools and its probe. */
export interface DirectoryServer {
  readonly server: Server;
  readonly circuit: ServerCircuit;
  /** @throws as `workOnPool` */
  withService<T>(work: Work<T>, signal: AbortSignal): Promise<T>;
  /** @throws as `UserBinds.bind` */
  bindUser(credentials: BindCredentials, signal: AbortSignal, onLate?: BindCall['onLate']): Promise<BindResult>;
  /**
   * Looks on a connection of its own, whatever the circuit says, and does not change the circuit. Only the pause after a
   * refusal of the service account applies here too: a page that is reloaded must not lock the account.
   *
   * @returns the problem and how to fix it; undefined when there is none
   */
  check(look: Work<void>, signal: AbortSignal): Promise<string | undefined>;
  /** The next search and the next bind make new connections, with the TLS settings of then. */
  renewConnections(): void;
  /** Ends everything, and resolves when nothing runs any more. */
  close(): Promise<void>;
}

export function createDirectoryServer(dependencies: DirectoryServerDependencies): DirectoryServer {
  const { server, options, metrics, now, random } = dependencies;
  const access = accessTo(dependencies);
  const account = createServiceAccount(access, options.bind);
  const lend = createLend(metrics, now);
  const poolSettings = { ...options.pool, url: server.url, waitTimeout: options.serverTimeout };
  const searches = createConnectionPool(poolSettings, {
    open: account.open,
    metrics: metrics.pool('service'),
    now,
    random,
  });
  const userBinds = createUserBinds(access, options, random);
  const pools = [searches, userBinds];
  const dropIdle = () => {
    for (const pool of pools) pool.dropIdle();
  };
  const scopes = createScopes();

  const circuit = createServerCircuit({
    failures: options.circuit.failures,
    now,
    onOpen(reason) {
      // The connections that `close` ends are failures to those who used them.
      if (scopes.isEnded) return;
      reportOpened(dependencies, reason);
      for (const pool of pools) pool.rejectWaiting(reason);
      dropIdle();
      probe.start();
    },
    onClose() {
      reportClosed(dependencies, circuit);
      probe.stop();
    },
  });
  const probe = createProbe(options.circuit.probeInterval, () =>
    probeOnce(access, circuit, scopes, async (signal) => {
      // A refused account has to wait for longer than the probe, and a server that refuses it has recovered.
      if (account.isRefused) (await access.open(signal)).close();
      else searches.adopt(await openAndSearch(account, server.url, signal));
    }),
  );

  return {
    server,
    circuit,
    withService: (work, signal) => workOnPool({ pool: searches, lend, onDead: dropIdle }, work, signal),
    bindUser: (credentials, signal, onLate) => userBinds.bind(credentials, signal, onLate),
    check: (look, signal) => checkServer(account, lend, look, signal),
    renewConnections() {
      for (const pool of pools) pool.renew();
    },
    async close() {
      scopes.abort(new Error('the directory is closed'));
      probe.stop();
      metrics.circuit(false);
      for (const pool of pools) pool.close();
      await probe.untilIdle();
    },
  };
}

function accessTo(dependencies: DirectoryServerDependencies): ServerAccess {
  const { server, options, tls, connect, metrics, logger, now } = dependencies;
  const timeout = options.serverTimeout;
  const open: ServerAccess['open'] = (signal) =>
    measured(() => connect({ server, tls, stepTimeout: timeout, signal }), now, metrics.connected);
  return { server, open, timeout, metrics, logger, now };
}

/** Closes the circuit when the attempt succeeds, and counts its failure otherwise. Never throws. */
async function probeOnce(
  { server, timeout }: ServerAccess,
  circuit: ServerCircuit,
  scopes: Scopes,
  attempt: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  // Each step has a bound of its own; this one is around all of them.
  const limit = 3 * timeout;
  const scope = scopes.openFor(limit, () => new Error(`${server.url}: no answer within ${durationText(limit)}`));
  const call = circuit.begin('service');
  try {
    await attempt(scope.signal);
    circuit.close();
  } catch (error) {
    const isShortage = error instanceof ServerError && error.kind === 'shortage';
    if (error instanceof ServerSkipped) circuit.close();
    else if (!scopes.isEnded && !isShortage) call.failed(messageOf(error));
  } finally {
    scope.end();
  }
}

/** A connection that searches have worked on: all that a login needs, except for its user. */
async function openAndSearch({ open }: ServiceAccount, url: string, signal: AbortSignal): Promise<Connection> {
  const connection = await open(signal);
  try {
    await searchRootEntry(connection, url, signal);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * Asks for the root DSE (RFC 4512 section 5.1), which costs a server nothing. That it may not be read is an answer too.
 *
 * @throws ServerError when the server does not answer, or answers that it can't
 */
async function searchRootEntry(connection: SearchConnection, url: string, signal: AbortSignal): Promise<void> {
  const request = { base: '', scope: 'base', filter: anyEntry, attributes: ['1.1'], sizeLimit: 0 } as const;
  const { code } = await connection.search(request, signal);
  const insufficientAccessRights = 50;
  if (classifySearch(code) !== 'server' || code === insufficientAccessRights) return;
  throw new ServerError('answer', 'search', `${url}: search: the probe was answered with ${namedCode(code)}`);
}

async function checkServer(
  account: ServiceAccount,
  lend: Lend,
  look: Work<void>,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const connection = await account.open(signal);
    const close = () => connection.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      await look(lend(connection).connection);
    } finally {
      signal.removeEventListener('abort', close);
      close();
    }
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return messageOf(error);
  }
}

function reportOpened({ server, options, metrics, logger }: DirectoryServerDependencies, reason: string): void {
  const { failures, probeInterval } = options.circuit;
  const fields = { server: server.url, reason, failures, probeInterval: durationText(probeInterval) };
  metrics.circuit(true);
  logger.warn(fields, 'directory server circuit opened: the server is skipped until a probe succeeds');
}

function reportClosed({ server, metrics, logger }: DirectoryServerDependencies, { lastFailure }: ServerCircuit): void {
  metrics.circuit(false);
  logger.info({ server: server.url, reason: lastFailure?.reason }, 'directory server circuit closed: server recovered');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { durationText } from '@sallyport/plugin-kit';
import { entryRequest } from '../connection/entry-request.ts';
import { ServerError, ServerSkipped } from '../connection/server-error.ts';
import type { LdapConnection } from '../connection/types.ts';
import { gone } from './connection-pool.ts';
import { measured } from './metrics.ts';
import { classifySearch, namedCode } from './result-codes.ts';
import { createProbe, createServerCircuit, type ServerCircuit } from './server-circuit.ts';
import {
  createServiceAccount,
  createServiceSearches,
  limitToSearches,
  type ServerAccess,
  type Work,
} from './service-account.ts';
import type { SearchConnection, ServerReport } from './types.ts';
import { createUserBinds } from './user-binds.ts';

export type DirectoryServer = ReturnType<typeof createDirectoryServer>;

export function createDirectoryServer(dependencies: Omit<ServerAccess, 'open' | 'closing'>) {
  const { server, options, metrics, now } = dependencies;
  const closing = new AbortController();
  const access = accessTo(dependencies, closing.signal);
  const account = createServiceAccount(access);
  const dropIdle = () => {
    for (const pool of pools) pool.dropIdle();
  };
  const searches = createServiceSearches(access, account.open, dropIdle);
  const userBinds = createUserBinds(access);
  const pools = [searches, userBinds];

  const circuit = createServerCircuit({
    failures: options.circuit.failures,
    now,
    onOpen(reason) {
      // The connections that `close` ends look like failures to their callers.
      if (closing.signal.aborted) return;
      reportOpened(access, reason);
      for (const pool of pools) pool.rejectWaiting(reason);
      dropIdle();
      probe.start();
    },
    onClose() {
      reportClosed(access, circuit);
      probe.stop();
      access.backendReconnected?.();
    },
  });
  const { signal } = closing;
  const probe = createProbe(options.circuit.probeInterval, () =>
    probeOnce(circuit, signal, () => {
      // A refused account has to wait for longer than the probe, and a server that refuses it has recovered.
      if (account.isRefused) return onFresh(access.open, async () => {}, signal);
      return onFresh(
        account.open,
        (connection) => searchRootEntry(connection, server.url, signal),
        signal,
      );
    }),
  );

  return {
    server,
    circuit,
    withService: searches.work,
    bindUser: userBinds.bind,
    /**
     * Looks on a connection of its own, whatever the circuit says, and does not change the circuit.
     * But it waits for the end of the pause after a refusal of the service account: a page that is
     * reloaded must not lock the account.
     */
    check: (look: Work<void>, caller: AbortSignal) =>
      checkServer(access, account, look, caller, signal),
    /** Makes the next search and the next bind use new connections, with the TLS settings of that time. */
    renewConnections(): void {
      for (const pool of pools) pool.renew();
    },
    async close(): Promise<void> {
      closing.abort(gone(server.url));
      probe.stop();
      metrics.circuit(false);
      for (const pool of pools) pool.close();
      await probe.untilIdle();
    },
  };
}

function accessTo(
  dependencies: Omit<ServerAccess, 'open' | 'closing'>,
  closing: AbortSignal,
): ServerAccess {
  const { server, options, connect, tls, metrics, now } = dependencies;
  const open: ServerAccess['open'] = (caller) => {
    const signal = AbortSignal.any([caller, closing]);
    return measured(
      () => connect({ server, tls, stepTimeout: options.serverTimeout, signal }),
      now,
      metrics.connected,
    );
  };
  return { ...dependencies, open, closing };
}

/** Does the work on a new connection, which ends with the work and with the signal. */
async function onFresh(
  open: (signal: AbortSignal) => Promise<LdapConnection>,
  work: (connection: LdapConnection) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const connection = await open(signal);
  const close = () => connection.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    await work(connection);
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}

async function checkServer(
  access: ServerAccess,
  account: Pick<ReturnType<typeof createServiceAccount>, 'open' | 'problem'>,
  look: Work<void>,
  signal: AbortSignal,
  closing: AbortSignal,
): Promise<Omit<ServerReport, 'server'>> {
  try {
    const anySignal = AbortSignal.any([signal, closing]);
    await onFresh(
      account.open,
      (connection) => look(limitToSearches(connection, access)),
      anySignal,
    );
    return {};
  } catch (error) {
    signal.throwIfAborted();
    const isPassedOver = error instanceof ServerError || error instanceof ServerSkipped;
    const advice =
      account.problem === undefined ? '' : `${account.problem}. Change it first. After that: `;
    return { problem: advice + toMessage(error), isPassedOver };
  }
}

async function probeOnce(
  circuit: ServerCircuit,
  closing: AbortSignal,
  attempt: () => Promise<void>,
): Promise<void> {
  const call = circuit.begin('service');
  try {
    await attempt();
    circuit.close();
  } catch (error) {
    const isShortage = error instanceof ServerError && error.kind === 'shortage';
    if (error instanceof ServerSkipped) circuit.close();
    else if (!closing.aborted && !isShortage) call.failed(toMessage(error));
  }
}

/**
 * Asks for the root DSE (RFC 4512 section 5.1), which costs a server nothing. A refusal to show it
 * is an answer as well.
 */
async function searchRootEntry(
  connection: SearchConnection,
  url: string,
  signal: AbortSignal,
): Promise<void> {
  const { code } = await connection.search({ ...entryRequest(''), sizeLimit: 0 }, signal);
  const insufficientAccessRights = 50;
  if (classifySearch(code) !== 'server' || code === insufficientAccessRights) return;
  throw new ServerError(
    'answer',
    'search',
    `${url}: search: the probe was answered with ${namedCode(code)}`,
  );
}

function reportOpened({ server, options, metrics, logger }: ServerAccess, reason: string): void {
  const { failures, probeInterval } = options.circuit;
  const fields = {
    server: server.url,
    reason,
    failures,
    probeInterval: durationText(probeInterval),
  };
  metrics.circuit(true);
  logger.warn(
    fields,
    'directory server circuit opened: the server is skipped until a probe succeeds',
  );
}

function reportClosed(
  { server, metrics, logger }: ServerAccess,
  { lastFailure }: ServerCircuit,
): void {
  metrics.circuit(false);
  logger.info(
    { server: server.url, reason: lastFailure?.reason },
    'directory server circuit closed: server recovered',
  );
}

function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

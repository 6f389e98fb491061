import type { Logger } from '@sallyport/authenticator';
import type { TlsSettings } from '@sallyport/plugin-options';
import { ServerFault } from '../connection/server-fault.ts';
import type { BindCredentials, BindResult, Connect, Server } from '../connection/types.ts';
import type { LdapOptions } from '../options/types.ts';
import { type Background, createBackground } from './background.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { ServerMetrics } from './metrics.ts';
import { createOpenConnection, type OpenConnection } from './open-connection.ts';
import { PassedOver } from './passed-over.ts';
import { createProbe, type Probe } from './probe.ts';
import { askForRootEntry } from './root-entry.ts';
import { lendConnection } from './search-connection.ts';
import { createServerCircuit, type ServerCircuit } from './server-circuit.ts';
import { createServiceAccount, type ServiceAccount } from './service-account.ts';
import { type Work, workOnPool } from './service-work.ts';
import type { BindCall } from './types.ts';
import { createUserBinds, type UserBinds } from './user-binds.ts';
import { inWords } from './words.ts';

export interface DirectoryServerDependencies {
  readonly server: Server;
  readonly options: Pick<LdapOptions, 'bind' | 'circuit' | 'pool' | 'serverTimeout'>;
  readonly tls: () => TlsSettings;
  readonly connect: Connect;
  readonly metrics: ServerMetrics;
  readonly logger: Logger;
  readonly now: () => number;
  readonly random: () => number;
}

/** One server with its circuit, its pool and its probe. */
export class DirectoryServer {
  readonly server: Server;
  readonly circuit: ServerCircuit;
  readonly #dependencies: DirectoryServerDependencies;
  readonly #openConnection: OpenConnection;
  readonly #account: ServiceAccount;
  readonly #pool: ConnectionPool;
  readonly #background: Background;
  readonly #probe: Probe;
  readonly #userBinds: UserBinds;

  constructor(dependencies: DirectoryServerDependencies) {
    const { server, options, metrics, logger, now } = dependencies;
    this.server = server;
    this.#dependencies = dependencies;
    this.#background = createBackground(server.url, 3 * options.serverTimeout);
    this.#openConnection = createOpenConnection({ ...dependencies, stepTimeout: options.serverTimeout });
    this.#account = createServiceAccount({
      url: server.url,
      credentials: options.bind,
      openConnection: this.#openConnection,
      metrics,
      logger,
      now,
    });
    this.#userBinds = createUserBinds({
      server,
      openConnection: this.#openConnection,
      timeout: options.serverTimeout,
      metrics,
      now,
    });
    this.#pool = this.#createPool();
    this.#probe = createProbe(options.circuit.probeInterval, async () => {
      if (await this.#look()) this.circuit.close();
    });
    this.circuit = createServerCircuit({
      failures: options.circuit.failures,
      now,
      onOpen: (reason) => this.#leaveAlone(reason),
      onClose: () => this.#takeBack(),
    });
  }

  /** @throws as `workOnPool` */
  withService<T>(work: Work<T>, signal: AbortSignal): Promise<T> {
    const { metrics, now } = this.#dependencies;
    return workOnPool(this.#pool, (connection) => lendConnection(connection, metrics, now), work, signal);
  }

  /** @throws as `UserBinds.bind` */
  bindUser(credentials: BindCredentials, signal: AbortSignal, onLate?: BindCall['onLate']): Promise<BindResult> {
    return this.#userBinds.bind(credentials, signal, onLate);
  }

  /**
   * Looks on a connection of its own, whatever the circuit says, and does not move the circuit. Only the pause after a
   * refusal of the service account holds here too: a page that is reloaded must not lock the account.
   *
   * @returns what is wrong, in plain words. Undefined: nothing
   */
  async check(look: Work<void>, signal: AbortSignal): Promise<string | undefined> {
    const { metrics, now } = this.#dependencies;
    try {
      const connection = await this.#account.open(signal);
      const close = () => connection.close();
      signal.addEventListener('abort', close, { once: true });
      try {
        await look(lendConnection(connection, metrics, now).connection);
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

  /** What was agreed on with the server, its certificate above all, is agreed on anew by the next search. */
  renewConnections(): void {
    this.#pool.renew();
  }

  /** Ends all that runs, and resolves when nothing does. */
  async close(): Promise<void> {
    this.#background.end();
    this.#probe.stop();
    this.#dependencies.metrics.circuit(false);
    this.#userBinds.close();
    await this.#pool.close();
    await this.#probe.untilIdle();
  }

  #createPool(): ConnectionPool {
    const { options, metrics, now, random } = this.#dependencies;
    const settings = { ...options.pool, url: this.server.url, waitTimeout: options.serverTimeout };
    return new ConnectionPool(settings, {
      metrics,
      now,
      random,
      open: (signal) => this.#account.open(signal),
      examine: (connection) => this.#background.run((signal) => askForRootEntry(connection, this.server.url, signal)),
      inBackground: async (open) => {
        if (this.circuit.isOpen || this.#account.isRefused) return;
        await this.#counted((signal) => open(signal));
      },
    });
  }

  /** The probe: all that a search needs, on a connection that is then used. */
  #look(): Promise<boolean> {
    return this.#counted(async (signal) => {
      // A server that refuses the service account is there, and the account's pause outlasts the probe's interval.
      if (this.#account.isRefused) return (await this.#openConnection(signal)).close();
      const connection = await this.#account.open(signal);
      try {
        await askForRootEntry(connection, this.server.url, signal);
      } catch (error) {
        connection.close();
        throw error;
      }
      this.#pool.adopt(connection);
    });
  }

  /** Work in the background, whose faults count. Never throws. @returns whether the server answered */
  async #counted(work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const call = this.circuit.begin('service');
    try {
      await this.#background.run(work);
      return true;
    } catch (error) {
      if (error instanceof PassedOver) return error.kind === 'refused';
      const isShortage = error instanceof ServerFault && error.kind === 'shortage';
      if (!this.#background.isEnded && !isShortage) call.failed(messageOf(error));
      return false;
    }
  }

  #leaveAlone(reason: string): void {
    // The connections that `close` ends are faults to those who used them.
    if (this.#background.isEnded) return;
    const { metrics, logger, options } = this.#dependencies;
    const { failures, probeInterval } = options.circuit;
    metrics.circuit(true);
    logger.warn(
      { server: this.server.url, reason, failures, probeInterval: inWords(probeInterval) },
      'directory server left alone until a probe succeeds',
    );
    this.#pool.turnAway(reason);
    this.#pool.dropIdle();
    this.#probe.start();
  }

  #takeBack(): void {
    const { metrics, logger } = this.#dependencies;
    metrics.circuit(false);
    this.#probe.stop();
    logger.info(
      { server: this.server.url, reason: this.circuit.lastFault?.reason },
      'directory server is asked again: it answers; the reason is why it was left alone',
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

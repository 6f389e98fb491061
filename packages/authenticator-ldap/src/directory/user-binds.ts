import type { ServerFault } from '../connection/server-fault.ts';
import { faultsOf, seconds } from '../connection/step.ts';
import type { BindCredentials, BindResult, Connection, Server } from '../connection/types.ts';
import { measured, type ServerMetrics } from './metrics.ts';
import type { OpenConnection } from './open-connection.ts';
import { isServerOutage } from './result-codes.ts';
import { outage } from './service-account.ts';
import type { BindCall } from './types.ts';

/** Binds as users at one server, each on a connection of its own. */
export interface UserBinds {
  /**
   * @param onLate as that of `BindCall`
   * @throws ServerFault when the server does not answer, or answers that it can't; the reason of the signal
   */
  bind(credentials: BindCredentials, signal: AbortSignal, onLate: BindCall['onLate']): Promise<BindResult>;
  /** Ends those whose answers are late. */
  close(): void;
}

export interface UserBindsDependencies {
  readonly server: Server;
  readonly openConnection: OpenConnection;
  /** Milliseconds. */
  readonly timeout: number;
  readonly metrics: ServerMetrics;
  readonly now: () => number;
}

/** Milliseconds that a late answer is waited for: a server that has not answered then never will. */
const longest = 600_000;
/** Late answers of one server. More are the server's fault, not that of a few users. */
const most = 64;

export function createUserBinds({ server, openConnection, timeout, metrics, now }: UserBindsDependencies): UserBinds {
  const { tally } = metrics;
  const late = new Set<Connection>();

  const end = (connection: Connection) => {
    late.delete(connection);
    tally.leave('busy');
    connection.close();
  };
  return {
    // No closure of it may hold the credentials, and no error with the stack of the login: they outlive it.
    async bind(credentials, signal, onLate) {
      tally.enter('opening');
      const connection = await openConnection(signal).finally(() => tally.leave('opening'));
      tally.enter('busy');
      const answer = connection.bind(credentials, signal, onLate === undefined ? timeout : longest);
      let isLate = false;
      const silence = () => {
        isLate = true;
        return faultsOf(server, 'bind')('timeout', `no answer within ${seconds(timeout)}`);
      };
      try {
        const inTime = () => within(answer, timeout, silence);
        const result = await measured(inTime, now, (name, time) => metrics.bound('user', name, time));
        if (isServerOutage(result.code)) throw outage(server.url, result.code);
        end(connection);
        return result;
      } catch (error) {
        if (isLate && onLate !== undefined && late.size < most && connection.isOpen) {
          late.add(connection);
          const lateAnswer = answer.finally(() => end(connection));
          // Another server may answer the login, and then no one waits for this one.
          lateAnswer.catch(() => {});
          onLate(lateAnswer);
        } else {
          end(connection);
        }
        throw error;
      }
    },
    close() {
      for (const connection of late) connection.close();
    },
  };
}

/** @throws what `late` gives when the promise has not settled in time; it then goes on, and may reject unheard */
function within<T>(promise: Promise<T>, milliseconds: number, late: () => ServerFault): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

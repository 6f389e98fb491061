import { errorsOf } from '../connection/server-error.ts';
import type { BindCredentials, BindResult, Connection } from '../connection/types.ts';
import { durationText, within } from '../deadlines.ts';
import { measured } from './metrics.ts';
import { isServerOutage } from './result-codes.ts';
import { outage, type ServerAccess } from './service-account.ts';
import type { BindCall } from './types.ts';

/** Binds as users at one server, each on a connection of its own. */
export interface UserBinds {
  /**
   * @param onLate as that of `BindCall`
   * @throws ServerError when the server does not answer, or answers that it can't; the reason of the signal
   */
  bind(credentials: BindCredentials, signal: AbortSignal, onLate: BindCall['onLate']): Promise<BindResult>;
  /** Ends those whose answers are late. */
  close(): void;
}

/** Milliseconds that a late answer is waited for: a server that has not answered by then never will. */
const longestBind = 600_000;
/** Late answers of one server. More than these are a problem of the server, not of a few users. */
const maxLate = 64;

export function createUserBinds({ server, open, timeout, metrics, now }: ServerAccess): UserBinds {
  const late = new Set<Connection>();

  const end = (connection: Connection) => {
    late.delete(connection);
    metrics.connections('busy', -1);
    connection.close();
  };
  return {
    // No closure of it may hold the credentials, and no error with the stack of the login: they outlive it.
    async bind(credentials, signal, onLate) {
      metrics.connections('opening', 1);
      const connection = await open(signal).finally(() => metrics.connections('opening', -1));
      metrics.connections('busy', 1);
      const answer = connection.bind(credentials, signal, onLate === undefined ? timeout : longestBind);
      let isLate = false;
      const noAnswer = () => {
        isLate = true;
        return errorsOf(server, 'bind')('timeout', `no answer within ${durationText(timeout)}`);
      };
      try {
        const inTime = () => within(answer, { timeout, late: noAnswer });
        const result = await measured(inTime, now, (name, time) => metrics.bound('user', name, time));
        if (isServerOutage(result.code)) throw outage(server.url, result.code);
        end(connection);
        return result;
      } catch (error) {
        if (isLate && onLate !== undefined && late.size < maxLate && connection.isOpen) {
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

import type { Logger } from '@sallyport/authenticator';
import { ServerFault } from '../connection/server-fault.ts';
import type { BindCredentials, BindResult, Connection } from '../connection/types.ts';
import { measured, type ServerMetrics } from './metrics.ts';
import type { OpenConnection } from './open-connection.ts';
import { PassedOver } from './passed-over.ts';
import { isServerOutage, namedCode } from './result-codes.ts';
import { ageInWords, inWords } from './words.ts';

/** The connections of one server on which searches run. */
export interface ServiceAccount {
  /**
   * Connects and binds, or only connects where searches are anonymous.
   *
   * @throws PassedOver `refused`, without a word to the server if it refused the account a short while ago
   * @throws as `Connection.bind`
   */
  open(signal: AbortSignal): Promise<Connection>;
  /** True while the account is left alone after a refusal. */
  readonly isRefused: boolean;
}

export interface ServiceAccountDependencies {
  readonly url: string;
  /** Left out: searches are anonymous. */
  readonly credentials?: BindCredentials | undefined;
  readonly openConnection: OpenConnection;
  readonly metrics: ServerMetrics;
  readonly logger: Logger;
  readonly now: () => number;
}

/** A wrong password tried again and again locks the account, and with it every login. */
const firstPause = 30_000;
const longestPause = 600_000;

interface Refusal {
  readonly message: string;
  readonly at: number;
  readonly pause: number;
}

export function createServiceAccount(dependencies: ServiceAccountDependencies): ServiceAccount {
  const { url, credentials, openConnection, logger, now } = dependencies;
  let refusal: Refusal | undefined;
  let warned = false;

  const pauseLeft = () => (refusal === undefined ? 0 : refusal.at + refusal.pause - now());
  const leftAlone = ({ message, at }: Refusal) => {
    const left = inWords(Math.ceil(pauseLeft() / 1000) * 1000);
    return new PassedOver('refused', `${message} (${ageInWords(now() - at)}; not tried again for ${left})`);
  };
  const refuse = (message: string) => {
    // Binds that were under way together are one refusal.
    if (pauseLeft() <= 0) {
      const pause = refusal === undefined ? firstPause : Math.min(refusal.pause * 2, longestPause);
      refusal = { message, at: now(), pause };
      logger.warn({ server: url, pause: inWords(pause) }, message);
    }
    return new PassedOver('refused', message);
  };
  const accept = (result: BindResult) => {
    refusal = undefined;
    const warning = passwordWarning(result);
    if (warning !== undefined && !warned) logger.warn({ server: url }, warning);
    warned = warning !== undefined;
  };

  return {
    get isRefused() {
      return pauseLeft() > 0;
    },
    async open(signal) {
      if (refusal !== undefined && pauseLeft() > 0) throw leftAlone(refusal);
      const connection = await openConnection(signal);
      if (credentials === undefined) return connection;
      try {
        const result = await bind(connection, credentials, signal, dependencies);
        if (result.code !== 0) throw refuse(refusalInWords(result.code, credentials.dn, url));
        accept(result);
        return connection;
      } catch (error) {
        connection.close();
        throw error;
      }
    },
  };
}

async function bind(
  connection: Connection,
  credentials: BindCredentials,
  signal: AbortSignal,
  { url, metrics, now }: ServiceAccountDependencies,
): Promise<BindResult> {
  const result = await measured(
    () => connection.bind(credentials, signal),
    now,
    (name, milliseconds) => metrics.bound('service', name, milliseconds),
  );
  if (isServerOutage(result.code)) throw outage(url, result.code);
  return result;
}

/** A bind, of whomever, that was answered with 51 or 52. */
export function outage(url: string, code: number): ServerFault {
  return new ServerFault('answer', 'bind', `${url}: bind: the server can't at the moment (${namedCode(code)})`);
}

function refusalInWords(code: number, dn: string, url: string): string {
  const named = namedCode(code);
  if (code === 8 || code === 13) {
    return `the service account may not bind to ${url} without TLS (${named}): use ldaps:// or StartTLS`;
  }
  return `the service account ${dn} was refused by ${url} (${named}): check bind.dn and bind.password`;
}

function passwordWarning({ passwordPolicyError, passwordMustChange }: BindResult): string | undefined {
  if (passwordPolicyError === undefined && !passwordMustChange) return undefined;
  return "the service account's password must be changed: the server took it, but its password policy objects";
}

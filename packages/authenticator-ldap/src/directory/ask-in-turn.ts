import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerFault } from '../connection/server-fault.ts';
import type { DirectoryServer } from './directory-server.ts';
import { PassedOver } from './passed-over.ts';
import type { Use } from './server-circuit.ts';
import { SilentConnection } from './service-work.ts';
import type { Answered } from './types.ts';
import { ageInWords } from './words.ts';

export interface Question<T> {
  /** In the order in which they are asked. */
  readonly servers: readonly DirectoryServer[];
  readonly use: Use;
  readonly subject: string | undefined;
  readonly ask: (server: DirectoryServer) => Promise<T>;
  /** No further server is asked once it is aborted. */
  readonly signal: AbortSignal;
  readonly now: () => number;
}

/** Why a server gave no answer. */
type Refrain = ServerFault | SilentConnection | PassedOver;

interface Refused {
  readonly refrain: Refrain;
  /** `machine`: this one. Left out: it tells nothing new. */
  readonly concerns?: 'server' | 'login' | 'machine';
}

/**
 * Asks one server after the other until one answers; those with an open circuit are skipped. At the end those whose
 * old connection was silent are asked once more, as a fresh one may do.
 *
 * @throws AuthenticatorError `unavailable` with each server's reason; `failed` if one of them was only busy, if one was
 *   reached and gave this login no answer, or if this machine could not ask
 * @throws the reason of the signal, and what `ask` throws and is no fault of a server
 */
export async function askInTurn<T>(question: Question<T>): Promise<Answered<T>> {
  const { servers, signal, now } = question;
  const reasons = new Map<DirectoryServer, string>();
  const silent: DirectoryServer[] = [];
  const refusals: Refused[] = [];

  const note = (server: DirectoryServer, refused: Refused) => {
    if (signal.aborted) throw signal.reason;
    reasons.set(server, named(server, refused.refrain.message));
    refusals.push(refused);
    if (refused.refrain instanceof SilentConnection) silent.push(server);
  };
  for (const [index, server] of servers.entries()) {
    if (server.circuit.isOpen) {
      reasons.set(server, leftAlone(server, now()));
      continue;
    }
    const isLast = servers.slice(index + 1).every(({ circuit }) => circuit.isOpen);
    const outcome = await askOne(question, server, isLast);
    if ('value' in outcome) return { value: outcome.value, server: server.server };
    note(server, outcome);
  }
  for (const server of [...silent]) {
    const outcome = await askOne(question, server, false);
    if ('value' in outcome) return { value: outcome.value, server: server.server };
    note(server, outcome);
  }
  throw noAnswer(servers.map((server) => reasons.get(server)).join('; '), refusals);
}

function noAnswer(told: string, refusals: readonly Refused[]): AuthenticatorError {
  if (refusals.some(({ refrain }) => refrain instanceof PassedOver && refrain.kind === 'busy')) {
    return new AuthenticatorError('failed', `no connection to the directory became free: ${told}`);
  }
  const concerns = new Set(refusals.map((refused) => refused.concerns));
  if (concerns.has('machine')) return new AuthenticatorError('failed', `no directory server could be asked: ${told}`);
  if (concerns.has('login')) return new AuthenticatorError('failed', `this login got no answer: ${told}`);
  return new AuthenticatorError('unavailable', `no directory server could answer: ${told}`);
}

/**
 * The server was reached and asked, and then said nothing. Of a bind as a user, or a search for a user's groups, that
 * is no fault of the server: whoever may write the own `userPassword` can store a hash that takes seconds, and one
 * person's logins must not take the server away from all. Whether it still answers, other searches find out.
 */
function mayBeLogin({ kind, step }: ServerFault): boolean {
  return (kind === 'timeout' || kind === 'closed') && (step === 'bind' || step === 'search');
}

/** @param hasSecondChance a silence is not counted: the same server is asked next, and that counts */
async function askOne<T>(
  { use, subject, ask, signal }: Question<T>,
  server: DirectoryServer,
  hasSecondChance: boolean,
): Promise<{ readonly value: T } | Refused> {
  const call = server.circuit.begin(use);
  try {
    const value = await ask(server);
    call.succeeded();
    return { value };
  } catch (error) {
    if (error instanceof PassedOver) return { refrain: error };
    const fault = error instanceof SilentConnection ? error.fault : error;
    if (!(fault instanceof ServerFault)) throw error;
    const refrain = error instanceof SilentConnection ? error : fault;
    if (fault.kind === 'shortage') return { refrain, concerns: 'machine' };
    if (signal.aborted || (refrain instanceof SilentConnection && hasSecondChance)) return { refrain };
    if (subject !== undefined && mayBeLogin(fault)) return { refrain, concerns: 'login' };
    call.failed(fault.message);
    return { refrain, concerns: 'server' };
  }
}

/** What a caller found wrong in an answer does not know which server it had. */
function named({ server: { url } }: DirectoryServer, problem: string): string {
  return problem.includes(url) ? problem : `${url}: ${problem}`;
}

function leftAlone(server: DirectoryServer, now: number): string {
  const { lastFault } = server.circuit;
  const last = lastFault === undefined ? '' : `: ${lastFault.reason} (${ageInWords(now - lastFault.at)})`;
  return named(server, `left alone since its last fault${last}`);
}

import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerError } from '../connection/server-error.ts';
import { ageText } from '../deadlines.ts';
import type { DirectoryServer } from './directory-server.ts';
import { ServerSkipped, StaleConnection } from './errors.ts';
import type { Use } from './server-circuit.ts';
import type { Answered } from './types.ts';

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
interface Failure {
  readonly error: ServerError | StaleConnection | ServerSkipped;
  /** `machine`: the one that the gateway runs on. Left out: the failure says nothing new. */
  readonly concerns?: 'server' | 'login' | 'machine';
}

/**
 * Asks one server after the other until one answers; those with an open circuit are skipped. At the end those whose
 * connection was stale are asked once more, as a fresh one may work.
 *
 * @throws AuthenticatorError `unavailable` with each server's reason; `failed` if one of them was only busy, if one was
 *   reached and gave this login no answer, or if this machine could not ask
 * @throws the reason of the signal, and what `ask` throws that is about no server
 */
export async function askInTurn<T>(question: Question<T>): Promise<Answered<T>> {
  const { servers, signal, now } = question;
  const reasons = new Map<DirectoryServer, string>();
  const failures: Failure[] = [];
  const stale: DirectoryServer[] = [];

  const ask = async (server: DirectoryServer, hasSecondChance: boolean): Promise<Answered<T> | undefined> => {
    const outcome = await askOne(question, server, hasSecondChance);
    if ('value' in outcome) return { value: outcome.value, server: server.server };
    if (signal.aborted) throw signal.reason;
    reasons.set(server, named(server, outcome.error.message));
    failures.push(outcome);
    if (outcome.error instanceof StaleConnection) stale.push(server);
    return undefined;
  };
  for (const [index, server] of servers.entries()) {
    if (server.circuit.isOpen) {
      reasons.set(server, skipped(server, now()));
      continue;
    }
    const isLast = servers.slice(index + 1).every(({ circuit }) => circuit.isOpen);
    const answer = await ask(server, isLast);
    if (answer !== undefined) return answer;
  }
  for (const server of [...stale]) {
    const answer = await ask(server, false);
    if (answer !== undefined) return answer;
  }
  throw noAnswer(servers.map((server) => reasons.get(server)).join('; '), failures);
}

function noAnswer(reasons: string, failures: readonly Failure[]): AuthenticatorError {
  if (failures.some(({ error }) => error instanceof ServerSkipped && error.reason === 'busy')) {
    return new AuthenticatorError('failed', `no connection to the directory became free: ${reasons}`);
  }
  const concerned = new Set(failures.map(({ concerns }) => concerns));
  if (concerned.has('machine')) {
    return new AuthenticatorError('failed', `no directory server could be asked: ${reasons}`);
  }
  if (concerned.has('login')) return new AuthenticatorError('failed', `this login got no answer: ${reasons}`);
  return new AuthenticatorError('unavailable', `no directory server could answer: ${reasons}`);
}

/**
 * The server was reached and asked, and then it was silent. That does not blame the server for a bind as a user, or for
 * a search for a user's groups: users who may write their own `userPassword` can store a hash that takes seconds, and
 * one person's logins must not take the server away from all. Other searches find out whether it still answers.
 */
function mayBeLogin({ kind, step }: ServerError): boolean {
  return (kind === 'timeout' || kind === 'closed') && (step === 'bind' || step === 'search');
}

/** @param hasSecondChance a stale connection is not counted: the same server is asked next, and that counts */
async function askOne<T>(
  { use, subject, ask, signal }: Question<T>,
  server: DirectoryServer,
  hasSecondChance: boolean,
): Promise<{ readonly value: T } | Failure> {
  const call = server.circuit.begin(use);
  try {
    const value = await ask(server);
    call.succeeded();
    return { value };
  } catch (error) {
    if (error instanceof ServerSkipped) return { error };
    const isStale = error instanceof StaleConnection;
    const cause = isStale ? error.error : error;
    if (!(cause instanceof ServerError)) throw error;
    const failure = { error: isStale ? error : cause };
    if (cause.kind === 'shortage') return { ...failure, concerns: 'machine' };
    if (signal.aborted || (isStale && hasSecondChance)) return failure;
    if (subject !== undefined && mayBeLogin(cause)) return { ...failure, concerns: 'login' };
    call.failed(cause.message);
    return { ...failure, concerns: 'server' };
  }
}

/** A caller that finds an error in an answer does not know which server gave it. */
function named({ server: { url } }: DirectoryServer, problem: string): string {
  return problem.includes(url) ? problem : `${url}: ${problem}`;
}

function skipped(server: DirectoryServer, now: number): string {
  const { lastFailure } = server.circuit;
  const last = lastFailure === undefined ? '' : `: ${lastFailure.reason} (${ageText(now - lastFailure.at)})`;
  return named(server, `skipped, its circuit is open${last}`);
}

import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerError, ServerSkipped, StaleConnection } from '../connection/server-error.ts';
import { ageText } from '../deadlines.ts';
import type { DirectoryServer } from './directory-server.ts';
import type { Use } from './server-circuit.ts';
import type { Answered } from './types.ts';

interface Question<T> {
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
  readonly error: ServerError | ServerSkipped;
  /** What it concerns. `machine`: the one that the gateway runs on. Left out: it says nothing new. */
  readonly concerns?: 'server' | 'login' | 'machine' | 'capacity';
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
  const concerned = new Set<Failure['concerns']>();
  const turns = [...servers];
  for (const [turn, server] of turns.entries()) {
    const isFirst = turn < servers.length;
    if (isFirst && server.circuit.isOpen) {
      reasons.set(server, skipped(server, now()));
      continue;
    }
    const isLast = isFirst && servers.slice(turn + 1).every(({ circuit }) => circuit.isOpen);
    const outcome = await askOne(question, server, isLast);
    if ('value' in outcome) return { value: outcome.value, server: server.server };
    if (signal.aborted) throw signal.reason;
    reasons.set(server, named(server, outcome.error.message));
    concerned.add(outcome.concerns);
    if (isFirst && outcome.error instanceof StaleConnection) turns.push(server);
  }
  throw noAnswer(servers.map((server) => reasons.get(server)).join('; '), concerned);
}

/** Problems that are of these logins, and no outage. The first of them that there is, in this order, is named. */
const failed = {
  capacity: 'no connection to the directory became free',
  machine: 'no directory server could be asked',
  login: 'this login got no answer',
} as const;

function noAnswer(reasons: string, concerned: ReadonlySet<Failure['concerns']>): AuthenticatorError {
  const first = (['capacity', 'machine', 'login'] as const).find((one) => concerned.has(one));
  if (first !== undefined) return new AuthenticatorError('failed', `${failed[first]}: ${reasons}`);
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
    if (error instanceof ServerSkipped) return error.reason === 'busy' ? { error, concerns: 'capacity' } : { error };
    if (!(error instanceof ServerError)) throw error;
    if (error.kind === 'shortage') return { error, concerns: 'machine' };
    if (signal.aborted || (error instanceof StaleConnection && hasSecondChance)) return { error };
    if (subject !== undefined && mayBeLogin(error)) return { error, concerns: 'login' };
    call.failed(error.message);
    return { error, concerns: 'server' };
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

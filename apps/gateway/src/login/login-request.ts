import type { Context } from 'koa';
import { pause } from '../base/deadlines.ts';
import { isClosed } from '../http/http-server.ts';
import type { InFlightCounter } from '../http/limits.ts';
import type { createFormReader } from '../http/read-body.ts';
import { nameNetwork } from '../http/socket-limit.ts';
import type { NewSession } from './create-session.ts';
import { refusalStep } from './limits.ts';
import { LoginError, tooMany } from './login-error.ts';
import { addFacts, type LoginAction, type LoginFacts } from './login-facts.ts';
import type { LoginService } from './login-service.ts';
import type { Proof } from './proof.ts';
import type { RateLimit } from './rate-limit.ts';

/** One request to the login server, with the facts for its report. */
export interface LoginRequest {
  readonly context: Context;
  readonly service: LoginService;
  readonly address: string;
  /** It is aborted when the client has gone, and after the time of a review. */
  readonly signal: AbortSignal;
  readonly facts: LoginFacts;
  readonly limits: LoginLimits;
  readonly readForm: ReturnType<typeof createFormReader>;
}

/** Adds a route, whose requests are reported as an action. */
export type AddRoute<Request = LoginRequest> = (
  method: 'get' | 'post' | 'delete',
  path: string,
  action: LoginAction,
  handle: (request: Request) => Promise<void>,
) => void;

/** The limits of logins, which all requests share. */
interface LoginLimits {
  readonly inFlight: InFlightCounter;
  /** Counts the refused passwords and codes of each address. */
  readonly passwords: RateLimit;
  /** Counts the logins of each user, and their passwords without the second factor. */
  readonly logins: RateLimit;
  /** Counts the pages of each address. */
  readonly pages: RateLimit;
}

/** Returns what ends the count of a request. @throws LoginError when there are too many requests already */
export function entered(leave: (() => void) | undefined): () => void {
  if (leave === undefined) throw tooMany('too many requests in progress', 1);
  return leave;
}

/**
 * Does work within the limit of all clients together, and of the guesses of one address. Only a refusal is a guess, and
 * work that the client did not wait for: it costs the backend as much, and counts for the user.
 */
export async function withinLimits<Result>(
  request: LoginRequest,
  work: () => Promise<Result>,
): Promise<Result> {
  const { inFlight, passwords } = request.limits;
  const turn = passwords.take(request.address);
  if (typeof turn === 'number') throw tooMany('too many refused logins from this address', turn);
  let isGuess = false;
  try {
    const leave = entered(inFlight.enter(request.service.config.limits.inFlight));
    return await work().finally(leave);
  } catch (error) {
    isGuess = isClosed(request.context.res) || (error instanceof LoginError && error.isGuess);
    throw error;
  } finally {
    if (!isGuess) turn();
  }
}

/** The errors of a right password after which the client asks the person for more. */
const incomplete: ReadonlySet<string> = new Set(['second-factor-required', 'invitation-required']);

/**
 * Does what follows a right password, and counts a login of its user after that. Without the second factor, it counts apart.
 *
 * @throws LoginError as `work` does, and if there were too many
 */
export async function countedLogin<Result>(
  request: LoginRequest,
  proof: Proof,
  work: () => Promise<Result>,
): Promise<Result> {
  const result = await work().catch((error: unknown) => {
    if (error instanceof LoginError && incomplete.has(error.code)) countIncomplete(request, proof);
    throw error;
  });
  countLogin(request, proof);
  return result;
}

/** Makes a refusal take a multiple of the step. */
export async function inSteps<Result>(
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  const begun = performance.now();
  try {
    return await work();
  } catch (error) {
    if (error instanceof LoginError && error.isGuess) await untilStep(begun, signal);
    throw error;
  }
}

/**
 * Waits until the time since `begun` is a multiple of the step. It takes no slot, since it costs only an open
 * connection.
 */
async function untilStep(begun: number, signal: AbortSignal): Promise<void> {
  const elapsed = performance.now() - begun;
  await pause(Math.ceil(elapsed / refusalStep) * refusalStep - elapsed, signal).catch(
    () => undefined,
  );
}

/** Answers with a new session. @param login the name that the user typed on the page, or that the provider gave */
export function answerSession(
  { context, facts }: LoginRequest,
  { token, session, user }: NewSession,
  login?: string,
): void {
  addFacts(facts, { token, session });
  context.status = 201;
  context.body = { token, expiresAt: new Date(session.until), user, ...(login && { login }) };
}

/** Names a count of logins. In JSON, no name of a user looks like a name with an address. */
const countName = (...names: string[]) => JSON.stringify(names);

/** Counts a login of a user who has proved everything, by the name that Kubernetes sees. @throws LoginError if there were too many */
export function countLogin({ limits }: LoginRequest, { user }: Proof): void {
  const turn = limits.logins.take(countName(user.username));
  if (typeof turn === 'number') throw tooMany('too many logins of this user', turn);
}

/**
 * Counts a right password whose second factor is still missing. It counts apart, for each address: who has only learned the
 * password does not use up the logins of its user.
 *
 * @throws LoginError if there were too many
 */
export function countIncomplete({ limits, address }: LoginRequest, { user }: Proof): void {
  const turn = limits.logins.take(countName(user.username, nameNetwork(address)));
  if (typeof turn === 'number')
    throw tooMany('too many logins of this user without a second factor', turn);
}

import { AuthenticatorError } from '@sallyport/authenticator';
import { pino } from 'pino';
import { withTimeLimit } from '../../base/deadlines.ts';
import { describeCause } from '../../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../../config/types.ts';
import { noAnswerWithin } from '../../observe/health.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { askEach } from '../connections.ts';

/**
 * Returns the milliseconds that a backend may take to say who a user is.
 *
 * @param wait of the command: the limit is half of it, between 2 s and 10 s, since nothing is blocked until the name is checked. Left
 *   out: 10 s
 */
export function lookUpLimit(wait = 20_000): number {
  return Math.min(10_000, Math.max(2_000, wait / 2));
}

/** @throws Error at the limit, also if `work` ignores its signal, and what `work` throws */
export function askInTime<Value>(
  limit: number,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  return withTimeLimit(limit, noAnswerWithin(limit), work);
}

/** Why an authenticator has not answered. */
export interface AskFailure {
  readonly reason: string;
  /** True: it could not check this user, and can check others. */
  readonly isOfUser: boolean;
  /** True: its plugin could not start, and `reason` names its line in the config. */
  readonly isNotMade?: boolean;
}

export function describeFailure(
  authenticator: Pick<AuthenticatorConfig, 'withhold'>,
  error: unknown,
): AskFailure {
  const isOfUser = AuthenticatorError.is(error) && error.code === 'failed';
  return { reason: authenticator.withhold(describeCause(error)), isOfUser };
}

/**
 * Asks these authenticators, each by itself: one that fails keeps no other from its answer. The start of a plugin may take as long as
 * its answer. It never throws.
 */
export function askEachInTime<Result>(
  config: GatewayConfig,
  authenticators: readonly AuthenticatorConfig[],
  limit: number,
  ask: (created: CreatedAuthenticator, signal: AbortSignal) => Promise<Result>,
  fail: (authenticator: AuthenticatorConfig, failure: AskFailure) => Result,
): Promise<Result[]> {
  const logger = pino({ level: 'silent' });
  const askOne = async (authenticator: AuthenticatorConfig): Promise<Result> => {
    const failed = (error: unknown) => fail(authenticator, describeFailure(authenticator, error));
    const answers = askInTime(2 * limit, () =>
      askEach(
        { ...config, authenticators: [authenticator] },
        logger,
        (created) => askInTime(limit, (signal) => ask(created, signal)).catch(failed),
        (_authenticator, reason) =>
          fail(authenticator, { reason, isOfUser: false, isNotMade: true }),
      ),
    );
    const [answer] = await answers.catch((error: unknown) => [failed(error)]);
    return answer as Result;
  };
  return Promise.all(authenticators.map(askOne));
}

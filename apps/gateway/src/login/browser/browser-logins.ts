import { describeCause } from '../../config/problems.ts';
import { createUnavailableError, LoginError } from '../login-error.ts';
import type { BrowserLogins, LoginService } from '../login-service.ts';

/** @throws LoginError if people log in at a terminal alone */
export function requireBrowserLogins({ browser }: LoginService): BrowserLogins {
  if (browser !== undefined) return browser;
  throw new LoginError(
    404,
    'no-browser-login',
    'this server has no login in a browser (login.browser): log in at a terminal',
  );
}

/** Asks the Redis of logins in progress, and logs why it failed. @throws LoginError if it did */
export function fromPending<Result>(
  { logger }: LoginService,
  work: () => Promise<Result>,
): Promise<Result> {
  return work().catch((error: unknown) => {
    logger.warn({ reason: describeCause(error) }, 'login in progress could not be read or written');
    throw createUnavailableError('the store of logins in progress');
  });
}

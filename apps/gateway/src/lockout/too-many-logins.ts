import { AuthenticatorError } from '@sallyport/authenticator';

/**
 * Too many tries of one user wait already. The guard around the plugin answers it late, so that whoever repeats them
 * as fast as answers come is not faster than those who wait.
 */
export class TooManyLogins extends AuthenticatorError {
  constructor(waiting: number) {
    super('failed', `too many concurrent logins for one user (${waiting} waiting)`);
  }
}

import {
  AuthenticatorError,
  type NoOpinion,
  type Rejected,
  type UserInfo,
} from '@sallyport/authenticator';
import { asError, withoutToken } from '../base/logging/error-fields.ts';
import type { LinkContext } from '../engine/chain/chain.ts';
import { withCheckedDecision } from '../engine/chain/decision.ts';
import { type Directory, withDirectory } from '../engine/directory/with-directory.ts';
import { withBlocks } from '../engine/revocation/with-blocks.ts';
import type { LoggedInUser } from '../login/login-service.ts';
import { type GuardedParts, withPolicy } from './assemble-link.ts';

export interface LoginLayersOptions extends GuardedParts {
  readonly directory?: Directory | undefined;
}

/** Checks what someone logs in with. @throws AuthenticatorError when it could not be checked */
type CheckLogin = (
  token: string,
  context: LinkContext,
) => Promise<LoggedInUser | Rejected | NoOpinion>;

/**
 * Stacks the layers for a login, blocks(directory(policy(checkedDecision(guard)))): those of a link, without its cache and its
 * audiences. The backend must see each login, and a login is for no cluster yet.
 */
export function assembleLoginLayers(options: LoginLayersOptions): CheckLogin {
  const { config, guard, directory, blocks, clocks, logger } = options;
  const named = withPolicy(withCheckedDecision(guard, clocks.wall), options);
  const withGroups = directory ? withDirectory(named, directory, config.username.prefix) : named;
  const layers = withBlocks(withGroups, config.name, blocks, logger);
  return async (token, context) => {
    const names: { backendUser?: UserInfo } = {};
    const loginContext: LinkContext = {
      ...context,
      onNames(backendUser, _user, directoryName) {
        if (directoryName === undefined) names.backendUser = backendUser;
      },
    };
    const decision = await Promise.resolve()
      .then(() => layers.authenticate(token, loginContext))
      .catch((error: unknown) => withhold(error, token));
    const { backendUser } = names;
    if (decision.kind === 'no-opinion') return decision;
    if (decision.kind === 'rejected')
      return backendUser ? { ...decision, subject: backendUser.username } : decision;
    if (backendUser === undefined) throw new Error('a user has passed no identity policy');
    const { user, credential } = decision;
    return {
      kind: 'logged-in',
      backendUser,
      user,
      ...(credential && { credential }),
    };
  };
}

/** Removes a token from an error: a login token contains the password in another form, such as base64. */
function withhold(error: unknown, token: string): never {
  const { message } = asError(error);
  throw message.includes(token)
    ? new AuthenticatorError('failed', withoutToken(message, token))
    : error;
}

import type { Authenticator, UserInfo } from '@sallyport/authenticator';
import type { AuthenticatorConfig, GatewayConfig } from '../../config/types.ts';
import { createIdentityPolicy, type NamedUser } from '../../engine/chain/identity-policy.ts';
import type { CommandContext } from '../context.ts';
import { type AskFailure, askEachInTime } from './ask-authenticators.ts';

/** What the backend of an authenticator says of a name. It says no more of a `refused` user than why. */
export type UserMatch =
  | { readonly kind: 'found'; readonly user: UserInfo }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'not found' | "can't be looked up" };

/**
 * Finds a user by the name in Kubernetes, or by a login name. If one user has it as a name and another one logs in by it, it is the
 * first one: otherwise whoever may edit their mail address could pass for another user here. It asks `revalidate` if the plugin has no
 * `lookUp`.
 *
 * @param username without the prefix of gateway.yaml
 * @throws unknown what `lookUp` and `revalidate` throw
 */
export async function findByName(
  context: CommandContext,
  plugin: Pick<Authenticator, 'lookUp' | 'revalidate'>,
  username: string,
  call: Parameters<NonNullable<Authenticator['lookUp']>>[1],
): Promise<UserMatch> {
  const { lookUp, revalidate } = plugin;
  if (lookUp === undefined && revalidate === undefined) return { kind: "can't be looked up" };
  const user = await plugin.lookUp?.(username, call);
  const match: UserMatch = user === undefined ? { kind: 'not found' } : { kind: 'found', user };
  if (lookUp && (user === undefined || user.username === username)) return match;
  const since = new Date(context.now());
  const decision = await plugin.revalidate?.({ username }, { ...call, since });
  if (decision?.kind === 'authenticated') return { kind: 'found', user: decision.user };
  return decision?.kind === 'rejected' && decision.reason !== 'unknown-user'
    ? { kind: 'refused', reason: decision.reason }
    : match;
}

/** The answer of one authenticator. */
type NameAnswer = { readonly config: AuthenticatorConfig } & (
  | Exclude<UserMatch, { readonly kind: 'found' }>
  | { readonly kind: 'found'; readonly user: UserInfo; readonly policyAnswer: NamedUser }
  | ({ readonly kind: 'failed' } & AskFailure)
);

/** Asks these authenticators about a user. It never throws. @param name as Kubernetes sees it, with the prefix of each */
export function findByNameInEach(
  context: CommandContext,
  config: GatewayConfig,
  authenticators: readonly AuthenticatorConfig[],
  name: string,
  limit: number,
): Promise<NameAnswer[]> {
  return askEachInTime<NameAnswer>(
    config,
    authenticators,
    limit,
    async ({ config: authenticator, authenticator: plugin }, signal) => {
      const username = name.slice(authenticator.username.prefix.length);
      const match = await findByName(context, plugin, username, { signal });
      if (match.kind !== 'found') return { config: authenticator, ...match };
      const policyAnswer = createIdentityPolicy(config, authenticator)(match.user);
      return { config: authenticator, ...match, policyAnswer };
    },
    (authenticator, failure) => ({ config: authenticator, kind: 'failed', ...failure }),
  );
}

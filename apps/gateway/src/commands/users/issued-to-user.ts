import type { UserInfo } from '@sallyport/authenticator';
import type { GatewayConfig } from '../../config/types.ts';
import type { ChainObserver } from '../../engine/chain/chain.ts';
import type { IssuingAuthenticator } from '../../runtime/authenticators.ts';
import type { CommandContext } from '../context.ts';
import { setUpIssuer, withIssuer } from '../issuer.ts';

/** Counts the tokens of a name, and joins the groups of the valid ones. It reads one by one: there may be very many, of all users. */
export async function readIssuedTokens(
  context: CommandContext,
  config: GatewayConfig,
  authenticator: IssuingAuthenticator,
  username: string,
  { onStep }: ChainObserver,
) {
  const counts = { revoked: 0, expired: 0, unreadable: 0 };
  const digests: string[] = [];
  const groupLists = new Set<string>();
  let firstUser: UserInfo | undefined;
  await withIssuer(context, setUpIssuer(context, config, authenticator), async (issuer) => {
    for await (const token of issuer.list({ username })) {
      if ('problem' in token) counts.unreadable++;
      else if (token.revoked) counts.revoked++;
      else if (token.expiresAt && token.expiresAt.getTime() <= context.now()) counts.expired++;
      else {
        digests.push(token.digest);
        firstUser ??= token.user;
        groupLists.add(JSON.stringify([...(token.user.groups ?? [])].sort()));
      }
    }
  });
  const { revoked, expired, unreadable } = counts;
  const trace = (step: string) => onStep(authenticator.name, step);
  trace(
    `tokens issued to this name: ${digests.length} valid, ${revoked} revoked, ${expired} expired`,
  );
  if (groupLists.size > 1) trace('the tokens have different groups: each token gives only its own');
  if (unreadable > 0) trace(`records that can't be read, of whichever user: ${unreadable}`);
  const groups = [
    ...new Set([...groupLists].flatMap((list): readonly string[] => JSON.parse(list))),
  ].sort();
  return { revoked, expired, digests, user: firstUser && { ...firstUser, groups } };
}

import { printable } from '../../base/logging/printable.ts';
import type { GatewayConfig, LoginConfig } from '../../config/types.ts';
import type { FactorUser } from '../../login/factors/factor-record.ts';
import { factorUser } from '../../login/prove-factor.ts';
import type { CommandContext } from '../context.ts';
import { lookUpLimit } from '../users/ask-authenticators.ts';
import { findByNameInEach } from '../users/find-by-name.ts';
import { canHaveName } from '../users/user-names.ts';

/** A person who has a name in a directory, and logs in there with a password. */
export interface Person {
  readonly user: FactorUser;
  /** As Kubernetes sees them. */
  readonly groups: readonly string[];
  /** Why the identity policy refuses them, if it does. */
  readonly violation: string | undefined;
}

/** What the directories of `login.authenticators` say of a name. */
export interface PeopleSearch {
  /** The users of that name, in the order in which a login asks. */
  readonly people: readonly Person[];
  /** The names, as Kubernetes sees them, of users that a directory finds by this name. */
  readonly otherNames: readonly string[];
  /** The authenticators that could not be asked. */
  readonly unasked: readonly { readonly authenticator: string; readonly reason: string }[];
}

/**
 * Finds the people who have a name, with what identifies them in the store of second factors. It never throws. A user without the uid
 * that a login would give them is another user in that store: so nothing is known of one whose directory says only that it refuses them.
 *
 * @param name as Kubernetes sees it
 */
export async function findPeople(
  context: CommandContext,
  config: GatewayConfig & { readonly login: LoginConfig },
  name: string,
): Promise<PeopleSearch> {
  const authenticators = config.login.authenticators
    .flatMap((authenticatorName) =>
      config.authenticators.filter((a) => a.name === authenticatorName),
    )
    .filter((a) => canHaveName(a, name));
  const answers = await findByNameInEach(context, config, authenticators, name, lookUpLimit());
  const matches = answers.flatMap((answer) => {
    if (answer.kind !== 'found') return [];
    const { user: kubernetesUser, violation } = answer.policyAnswer;
    const user = factorUser({
      authenticator: answer.config.name,
      backendUser: answer.user,
      user: kubernetesUser,
    });
    return [{ user, groups: kubernetesUser.groups ?? [], violation: violation?.rule }];
  });
  const unasked = answers.flatMap((answer) => {
    const authenticator = answer.config.name;
    if (answer.kind === 'failed') return [{ authenticator, reason: answer.reason }];
    return answer.kind === 'refused'
      ? [{ authenticator, reason: `it says only that the user is refused: ${answer.reason}` }]
      : [];
  });
  return {
    people: matches.filter(({ user }) => user.name === name),
    otherNames: [
      ...new Set(matches.map(({ user }) => user.name).filter((username) => username !== name)),
    ],
    unasked,
  };
}

/** Names the authenticators that could not be asked, and why: `corp (no answer within 10s), partner (…)`. */
export function unaskedText(unasked: PeopleSearch['unasked']): string {
  return printable(
    unasked.map(({ authenticator, reason }) => `${authenticator} (${reason})`).join(', '),
  );
}

import type { UserInfo } from '@sallyport/authenticator';
import { pino } from 'pino';
import { withTimeLimit } from '../../base/deadlines.ts';
import { printable } from '../../base/logging/printable.ts';
import { causeOf } from '../../config/problems.ts';
import type { GatewayConfig, LoginConfig } from '../../config/types.ts';
import { createIdentityPolicy } from '../../engine/chain/identity-policy.ts';
import type { FactorUser } from '../../login/factors/factor-record.ts';
import { factorUser } from '../../login/prove-factor.ts';
import { noAnswerWithin } from '../../observe/health.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { askEach } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import { canHaveName } from '../users/user-names.ts';

/** Milliseconds that one directory may take. */
const maxWait = 10_000;

/** A person who has a name in a directory, and logs in there with a password. */
export interface Person {
  readonly user: FactorUser;
  /** As Kubernetes sees them. */
  readonly groups: readonly string[];
  /** Why the identity policy refuses them, if it does. */
  readonly violation: string | undefined;
}

/** What the directories of `login.authenticators` say of a name. */
export interface FoundPeople {
  /** The users of that name, in the order in which a login asks. */
  readonly people: readonly Person[];
  /** The names, as Kubernetes sees them, of users that a directory finds by this name. */
  readonly others: readonly string[];
  /** The authenticators that could not be asked. */
  readonly unasked: readonly { readonly authenticator: string; readonly reason: string }[];
}

/**
 * Finds the people who have a name, with what identifies them in the store of second factors. It never throws.
 *
 * @param name as Kubernetes sees it
 */
export async function findPeople(
  context: CommandContext,
  config: GatewayConfig & { readonly login: LoginConfig },
  name: string,
): Promise<FoundPeople> {
  const { login, authenticators: all } = config;
  const authenticators = login.authenticators
    .flatMap((named) => all.filter((one) => one.name === named))
    .filter((one) => canHaveName(one, name));
  const answers = await askEach(
    { ...config, authenticators },
    pino({ level: 'silent' }),
    (one) => ask(context, config, one, name),
    ({ name: authenticator }, reason) => ({ kind: 'unasked', authenticator, reason }) as const,
  );
  const found = answers.flatMap((one) => (one.kind === 'found' ? [one.person] : []));
  return {
    people: found.filter(({ user }) => user.name === name),
    others: [...new Set(found.map(({ user }) => user.name).filter((other) => other !== name))],
    unasked: answers.flatMap((one) =>
      one.kind === 'unasked' ? [{ authenticator: one.authenticator, reason: one.reason }] : [],
    ),
  };
}

/** Names the authenticators that could not be asked, and why: `corp (no answer within 10s), partner (…)`. */
export function unaskedText(unasked: FoundPeople['unasked']): string {
  return printable(
    unasked.map(({ authenticator, reason }) => `${authenticator} (${reason})`).join(', '),
  );
}

async function ask(
  context: CommandContext,
  config: GatewayConfig,
  created: CreatedAuthenticator,
  name: string,
) {
  const { config: one } = created;
  const { name: authenticator, username } = one;
  try {
    const found = await withTimeLimit(maxWait, noAnswerWithin(maxWait), (signal) =>
      userOf(context, created, name.slice(username.prefix.length), signal),
    );
    if (found === undefined) return { kind: 'not known' } as const;
    const { user: named, violation } = createIdentityPolicy(config, one)(found);
    const user = factorUser({ authenticator, given: found, named });
    const person = { user, groups: named.groups ?? [], violation: violation?.rule };
    return { kind: 'found', person } as const;
  } catch (error) {
    return { kind: 'unasked', authenticator, reason: one.withhold(causeOf(error)) } as const;
  }
}

/**
 * Returns the user of exactly this name, or the user that the directory finds by it. A user without the uid that a login would give
 * them is another user in the store. So a refused user, about which `revalidate` says no more, is not known. A plugin might have no `lookUp`.
 *
 * @throws Error if the user is refused, and what the plugin throws
 */
async function userOf(
  context: CommandContext,
  { authenticator }: CreatedAuthenticator,
  username: string,
  signal: AbortSignal,
): Promise<UserInfo | undefined> {
  const found = await authenticator.lookUp?.(username, { signal });
  if (authenticator.lookUp && (found === undefined || found.username === username)) return found;
  const own = await authenticator.revalidate?.(
    { username },
    { since: new Date(context.now()), signal },
  );
  if (own?.kind === 'authenticated') return own.user;
  if (own?.kind === 'rejected' && own.reason !== 'unknown-user')
    throw new Error(`it says only that the user is refused: ${own.reason}`);
  return found;
}

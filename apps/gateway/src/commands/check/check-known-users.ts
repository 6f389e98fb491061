import { printable } from '../../base/logging/printable.ts';
import type { WarningName } from '../../config/acknowledgements.ts';
import { describeCause } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { createIdentityPolicy, credentialIdKey } from '../../engine/chain/identity-policy.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { type Findings, toError, warning } from '../finding.ts';

const withoutUid = warning(
  'no-uid',
  'users of login.authenticators have no uid, so a new user with the same name gets their sessions',
  'set the option that gives users a uid, such as user.attributes.uid',
);

/** How many users are listed one by one. */
const maxListed = 5;

/**
 * Checks the users that the plugin names without a backend: one that the identity policy refuses never gets in, a name that has
 * the prefix already gets it twice, and without a uid a session does not end with its account.
 */
export function checkKnownUsers(
  { authenticator, config }: CreatedAuthenticator,
  gatewayConfig: Pick<GatewayConfig, 'authenticators' | 'login' | 'provenance'>,
): Findings {
  const nameUser = createIdentityPolicy(gatewayConfig, config);
  const refused = createList();
  const doubled = createList();
  let isCredentialId = false;
  let isUidMissing = false;
  try {
    for (const user of authenticator.knownUsers?.() ?? []) {
      isUidMissing ||= user.uid === undefined;
      const { violation } = nameUser(user);
      if (violation === undefined) {
        const twice = twicePrefixed(user, config);
        if (twice !== undefined) doubled.add(printable(twice));
        continue;
      }
      const { rule, name = user.username } = violation;
      isCredentialId ||= name === credentialIdKey;
      refused.add(
        `${printable(user.username)}: ${rule}${name === user.username ? '' : ` (${printable(name)})`}`,
      );
    }
  } catch (error) {
    return [
      { result: 'error', detail: `knownUsers() failed: ${config.withhold(describeCause(error))}` },
    ];
  }
  const fix = isCredentialId
    ? `for ${credentialIdKey}, set its allowCredentialId: true`
    : 'correct their names or keys of extra, or list system: names in its allowSystemNames';
  return [
    ...refused.toFindings(
      'error',
      (count, listed) =>
        `the identity policy refuses ${count} of its users: ${config.withhold(listed)}`,
      fix,
    ),
    ...doubled.toFindings(
      'twice-prefixed',
      (count, listed) =>
        `${count} of its names would have their prefix twice: ${config.withhold(listed)}`,
      'write them without it, or remove username.prefix or groups.prefix of the authenticator',
    ),
    ...(isUidMissing && gatewayConfig.login?.authenticators.includes(config.name)
      ? withoutUid
      : []),
  ];
}

/** Counts all texts, and keeps the first `maxListed` ones for a message. */
export function createList() {
  const listed: string[] = [];
  let count = 0;
  return {
    add(text: string) {
      count += 1;
      if (listed.length < maxListed) listed.push(text);
    },
    /** @param kind an error, or the name of a warning */
    toFindings(
      kind: 'error' | WarningName,
      word: (count: number, list: string) => string,
      fix: string,
    ): Findings {
      if (count === 0) return [];
      const ending = count > listed.length ? `, and ${count - listed.length} more` : '';
      const detail = word(count, listed.join('; ') + ending);
      return kind === 'error' ? [toError({ message: detail, fix })] : warning(kind, detail, fix);
    },
  };
}

/** Returns the name, as Kubernetes sees it, that would have its prefix twice. */
function twicePrefixed(
  { username, groups = [] }: Parameters<ReturnType<typeof createIdentityPolicy>>[0],
  { username: userSettings, groups: groupSettings }: CreatedAuthenticator['config'],
): string | undefined {
  if (isPrefixed(username, userSettings.prefix)) return userSettings.prefix + username;
  const group = groups.find((name) => isPrefixed(name, groupSettings.prefix));
  return group && groupSettings.prefix + group;
}

/** Whether a name has the prefix already. Any name may begin with a prefix that ends in a letter or a digit. */
function isPrefixed(name: string, prefix: string): boolean {
  return /[^\p{L}\p{N}]$/u.test(prefix) && name.startsWith(prefix);
}

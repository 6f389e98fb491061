import { isIP } from 'node:net';
import { anyGlob } from '../base/glob.ts';
import { isObject } from './problems.ts';
import { at, makeRule, ofEntry, type Rule } from './rule.ts';
import type { FileConfig } from './schema.ts';

type SecondFactorKeys = NonNullable<NonNullable<FileConfig['login']>['secondFactor']>;

/** Makes the rules of `login.secondFactor`. */
export function secondFactorRules(file: FileConfig): Rule[] {
  const { login, cache } = file;
  if (!isObject(login) || !isObject(login.secondFactor)) return [];
  const { secondFactor, authenticators, browser, publicUrl } = login;
  const named = Array.isArray(secondFactor.authenticators) ? secondFactor.authenticators : [];
  const path = at('login.secondFactor');
  return [
    makeRule([path, at('login.authenticators')], () => authenticators.length === 0, {
      message: 'has no effect: without login.authenticators, no one logs in with a password',
      fix: 'remove it, and require a second factor at the providers',
      at: 'key',
    }),
    makeRule([path, at('cache.redis')], () => cache.redis === undefined, {
      message: 'needs the sealing keys of cache.redis, and its lockout guard for all replicas',
      fix: 'add cache.redis, or remove this key',
      at: 'key',
    }),
    {
      reads: [at('login.secondFactor.methods'), at('login.browser'), at('login.publicUrl')],
      check() {
        if (!secondFactor.methods.includes('passkey')) return undefined;
        const host = new URL(publicUrl).hostname;
        if (!browser)
          return {
            message: 'passkeys work in a browser alone',
            fix: 'add login.browser: true, or remove passkey',
          };
        const isAddress = isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0;
        return (
          isAddress && {
            message: `passkeys need a DNS name, and login.publicUrl has the address ${host}`,
            fix: 'write a DNS name into login.publicUrl, or remove passkey',
          }
        );
      },
    },
    ...named.map(
      (name, index): Rule => ({
        reads: [[...path, 'authenticators', index], at('login.authenticators')],
        check: () =>
          !authenticators.includes(name) && {
            message: `"${name}" is not in login.authenticators, whose users log in with a password`,
            fix: `write one of ${authenticators.join(', ')}`,
          },
      }),
    ),
    ...requiredGroupRules(file, secondFactor),
  ];
}

/** Refuses groups that no user can have: with a prefix forgotten, no one would be asked for a second factor. */
function requiredGroupRules(
  { login, authenticators }: FileConfig,
  { required, authenticators: named }: SecondFactorKeys,
): Rule[] {
  if (!isObject(required) || !Array.isArray(required.groups)) return [];
  const covered = named ?? login?.authenticators ?? [];
  const path = at('login.secondFactor.required.groups');
  return required.groups.map((group, index) => ({
    reads: [
      [...path, index],
      at('login.authenticators'),
      at('login.secondFactor.authenticators'),
      at('authenticators'),
    ],
    check() {
      const passwordAuthenticators = authenticators.filter(({ name }) => covered.includes(name));
      if (
        passwordAuthenticators.length === 0 ||
        passwordAuthenticators.some((authenticator) => canHaveGroup(authenticator, group))
      )
        return undefined;
      const prefixes = [...new Set(passwordAuthenticators.map(({ groups }) => groups.prefix))];
      const isPrefixedTwice = passwordAuthenticators.some(
        ({ groups: { prefix, allow } }) =>
          prefix !== '' && group.startsWith(prefix) && anyGlob(allow ?? [])(group),
      );
      return {
        message: `no user of ${covered.join(', ')} can be in "${group}": see groups.prefix, groups.allow and allowSystemNames there`,
        fix: isPrefixedTwice
          ? 'write groups.allow there without groups.prefix: it is compared with the names of the backend'
          : `write the group as Kubernetes sees it, such as ${prefixes[0]}k8s-admins, or let it pass groups.allow`,
      };
    },
  }));
}

/** Whether a user of an authenticator can be in a group, as far as its config says. @param group as Kubernetes sees it */
export function canHaveGroup(
  {
    groups: { prefix, allow },
    allowSystemNames,
  }: Pick<FileConfig['authenticators'][number], 'groups' | 'allowSystemNames'>,
  group: string,
): boolean {
  if (!group.startsWith(prefix)) return false;
  if (group.startsWith('system:') && !anyGlob(allowSystemNames)(group)) return false;
  return allow === undefined || anyGlob(allow)(group.slice(prefix.length));
}

/** Refuses `reviews: false` at an authenticator that nothing else uses, and at the authenticator of sessions. */
export function reviewRules({ login, authenticators }: FileConfig): Rule[] {
  return [...authenticators.entries()].map(([index, authenticator]) => ({
    reads: [ofEntry(index, 'reviews'), ofEntry(index, 'name'), at('login'), at('authenticators')],
    check() {
      if (authenticator.reviews) return undefined;
      if (login?.sessions === authenticator.name)
        return {
          message: 'would refuse every session: only reviews ask about them',
          fix: 'remove this key',
          at: 'key',
        } as const;
      const isNamed = (name: string) => authenticators.some((entry) => entry.name === name);
      const isUsed =
        // A name that no authenticator has may be its own, mistyped.
        login?.authenticators.every(isNamed) === false ||
        login?.authenticators.includes(authenticator.name) === true ||
        authenticators.some(({ directory }) => directory?.authenticator === authenticator.name);
      if (isUsed) return undefined;
      return {
        message: 'leaves nothing that uses this authenticator',
        fix: 'remove this key, or name the authenticator in login.authenticators or in a directory',
        at: 'key',
      } as const;
    },
  }));
}

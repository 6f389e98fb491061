import type { IdentityConfig } from '../config/types.ts';
import { printable } from '../logging/printable.ts';
import { shellQuoted } from './shell-quoted.ts';
import { UsageError } from './usage-error.ts';

/**
 * Names are as Kubernetes sees them. One that begins with no prefix of the config is most likely one whose prefix was
 * forgotten, so that a command would do nothing to whom it is meant for.
 *
 * @param isExact `--exact`: the name is meant as it is
 * @throws UsageError with the names that may be meant
 */
export function requirePrefix(
  kind: 'user' | 'group',
  name: string,
  authenticators: readonly Pick<IdentityConfig, 'username' | 'groups'>[],
  isExact = false,
): void {
  const all = new Set(authenticators.map((one) => (kind === 'user' ? one.username : one.groups).prefix));
  const prefixes = [...all].filter((prefix) => prefix !== '');
  if (isExact || prefixes.length === 0) return;
  const own = prefixes.filter((prefix) => name.startsWith(prefix));
  if (own.some((prefix) => name !== prefix)) return;
  if (own[0] !== undefined) throw new UsageError(`--${kind} is the prefix alone: write --${kind} ${own[0]}NAME`);
  const candidates = [
    ...prefixes.map((prefix) => shellQuoted(prefix + name)),
    ...(all.has('') ? [`${shellQuoted(name)} --exact`] : []),
  ];
  throw new UsageError(
    `nothing was done: --${kind} ${printable(name)} begins with no prefix of this config, and names are as Kubernetes ` +
      `sees them. Write one of these${all.has('') ? '' : ', or add --exact if the name is right as it is'}:` +
      candidates.map((candidate) => `\n  --${kind} ${printable(candidate)}`).join(''),
  );
}

import type { IdentityConfig } from '../../config/types.ts';
import { printable } from '../../logging/printable.ts';
import type { Subject } from './whom.ts';

/** Of a name that Kubernetes can't get to see from any authenticator, since all have other prefixes. */
export function warnOfForeignName({ kind, name }: Subject, authenticators: readonly IdentityConfig[]): void {
  if (kind !== 'user' && kind !== 'group') return;
  const prefixes = authenticators.map((one) => (kind === 'user' ? one.username : one.groups).prefix);
  if (prefixes.some((prefix) => name.startsWith(prefix))) return;
  const known = [...new Set(prefixes)].join(', ');
  process.stderr.write(
    `sallyport: no ${kind} can be named ${printable(name)}: names are as Kubernetes sees them, and of the authenticators ` +
      `of this config they begin with ${printable(known)}. It is done all the same\n`,
  );
}

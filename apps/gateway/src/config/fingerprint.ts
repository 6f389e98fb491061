import { createHash } from 'node:crypto';
import { isAbsolute } from 'node:path';
import type { ResolvedPlugin } from './plugins.ts';
import { isObject } from './unknown-keys.ts';

/** Of what is kept of an answer: another number leaves all that was kept before unread. */
export const recordFormat = 1;

interface Fingerprinted {
  readonly name: string;
  readonly plugin: Pick<ResolvedPlugin, 'use' | 'package' | 'edition'>;
  /** As written, secrets as references: a renewed password is no other configuration. */
  readonly options: unknown;
}

/**
 * Tells what one configuration of an authenticator answered from the answers of another. Every replica makes the same
 * of one config, wherever it stands there: a plugin that is a file counts by its `use` and its content, not its path.
 *
 * @returns SHA-256, base64url
 */
export function fingerprint({ name, plugin, options }: Fingerprinted): string {
  const { use, edition } = plugin;
  const origin = isAbsolute(plugin.package) ? use : plugin.package;
  return createHash('sha256')
    .update(canonical({ recordFormat, name, use, package: origin, edition, options }))
    .digest('base64url');
}

/** JSON with the keys of each map in one order; numbers that JSON has no word for are told apart too. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value === 'number') return String(value);
  if (!isObject(value)) return JSON.stringify(value);
  const entries = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${entries.join()}}`;
}

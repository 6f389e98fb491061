import { createHash } from 'node:crypto';
import { isAbsolute } from 'node:path';
import type { ResolvedPlugin } from './plugins.ts';
import { isObject } from './problems.ts';

/**
 * The format of a cached answer: with another number nothing that was cached before is read. Version 2 has `credential` and
 * `session`: a
 * gateway of version 1 would store answers without it, and a block of a `jti` would not hold for these.
 */
export const recordFormat = 2;

interface Fingerprinted {
  readonly name: string;
  readonly plugin: Pick<ResolvedPlugin, 'use' | 'package' | 'digest'>;
  /** As written, secrets as references: a renewed password is no other configuration. */
  readonly options: unknown;
}

/**
 * Makes the part of a cache key that separates the answers of one configuration of an authenticator from those of
 * another. Every replica makes the same of one config, wherever the config is: a plugin that is a file counts by its
 * `use` and its content, not by its path.
 *
 * @returns SHA-256, base64url
 */
export function fingerprint({ name, plugin, options }: Fingerprinted): string {
  const { use, digest } = plugin;
  const origin = isAbsolute(plugin.package) ? use : plugin.package;
  return createHash('sha256')
    .update(canonical({ recordFormat, name, use, package: origin, digest, options }))
    .digest('base64url');
}

/** JSON with the keys of each map in one order. Numbers that JSON cannot write, such as NaN, differ from null. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value === 'number') return String(value);
  if (!isObject(value)) return JSON.stringify(value);
  const entries = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${entries.join()}}`;
}

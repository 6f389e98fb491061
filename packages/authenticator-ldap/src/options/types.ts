import type { z } from 'zod';
import type { optionsSchema } from './schema.ts';

export type { GroupOptions } from './groups.ts';
export type { UserOptions } from './user.ts';

/**
 * The validated `options` of gateway.yaml. Durations are in milliseconds, and templates and URLs
 * are parsed. They have either `servers`, in the order of the config, or `srv`.
 */
export type LdapOptions = z.output<typeof optionsSchema>;

export type SrvOptions = NonNullable<LdapOptions['srv']>;
export type PoolOptions = LdapOptions['pool'];

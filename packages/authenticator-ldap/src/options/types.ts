import type { z } from 'zod';
import type { optionsSchema } from './schema.ts';

export type { GroupOptions } from './groups.ts';
export type { UserOptions } from './user.ts';

/**
 * `options` of gateway.yaml once validated: durations are milliseconds; templates and URLs are parsed. Either `servers` has
 * some, in the order of the config, or `srv` is there.
 */
export type LdapOptions = z.output<typeof optionsSchema>;

export type SrvOptions = NonNullable<LdapOptions['srv']>;
export type PoolOptions = LdapOptions['pool'];

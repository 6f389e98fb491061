import type { ConnectionOptions } from '@sallyport/redis-connection';
import type { LayoutName } from '../record/layouts.ts';
import type { TokenOptions } from '../token/shape.ts';

/** What the plugin works with. */
export interface RedisOptions {
  readonly connection: ConnectionOptions;
  /** For making, listing and revoking tokens; the same as `connection` unless options say otherwise. */
  readonly admin: ConnectionOptions;
  /** Before the digest in each key. */
  readonly keyPrefix: string;
  readonly layout: LayoutName;
  readonly token: TokenOptions;
  /** What a token that Redis has no record of is. */
  readonly unknown: 'no-opinion' | 'rejected';
  /** Milliseconds: the use of a token is noted in Redis so often at most. Undefined: never. */
  readonly trackLastUse?: number;
}

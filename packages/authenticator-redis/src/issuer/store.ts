import type { Connection } from '@sallyport/redis-connection';
import type { Keys } from '../keys.ts';
import type { Layout } from '../record/types.ts';
import type { TokenOptions } from '../token/shape.ts';

/** Where the tokens of one authenticator are kept, and how. */
export interface Store {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly layout: Layout;
  readonly token: TokenOptions;
  /** Whether the gateway notes when a token was used. */
  readonly tracksLastUse: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

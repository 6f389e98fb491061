import type { ValueQuery } from '@sallyport/redis-connection';

/** What Redis holds of one token. Moments are milliseconds since 1970. */
export interface TokenRecord {
  readonly username: string;
  readonly uid?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly audiences?: readonly string[] | undefined;
  readonly notBefore?: number | undefined;
  readonly expiresAt?: number | undefined;
  readonly issuedAt?: number | undefined;
  readonly issuedBy?: string | undefined;
  readonly reason?: string | undefined;
  readonly revokedAt?: number | undefined;
  readonly revokedBy?: string | undefined;
  readonly revokedReason?: string | undefined;
}

/** A record that was read, or what is wrong with it: the field and the mend, quoting no value. */
export type ReadRecord = { readonly record: TokenRecord } | { readonly fault: string };

/** How a record stands in Redis. */
export interface Layout {
  /** The command that reads one, whole, unless it is too big. */
  readonly query: ValueQuery;
  /** What Redis' TYPE says of one. */
  readonly type: 'string' | 'hash';
  /** @param reply what `query` gave, null for a string that is not there. @returns undefined when there is no record */
  read(reply: unknown): ReadRecord | undefined;
}

import type { UserInfo } from './decision.ts';

/** A token that is to be made. */
export interface TokenRequest {
  /** As the backend shall know them: without the prefixes of gateway.yaml. */
  readonly user: UserInfo;
  /** The audiences that the token is bound to. Left out: it knows nothing of audiences. Never empty. */
  readonly audiences?: readonly string[];
  /** Left out: good at once. */
  readonly notBefore?: Date;
  /** Left out: the token has no end of its own. */
  readonly expiresAt?: Date;
  /** Who has it made, for those who look at it later. */
  readonly issuedBy: string;
  /** What for. */
  readonly reason?: string;
}

/** A token as its issuer knows it: all but the token itself, which is nowhere kept. */
export interface IssuedToken {
  /** SHA-256 of the token, 64 lowercase hexadecimal digits: how it is named once it has been handed out. */
  readonly digest: string;
  readonly user: UserInfo;
  readonly audiences?: readonly string[];
  readonly notBefore?: Date;
  /** The earliest of the ends that the backend knows. Left out: none. */
  readonly expiresAt?: Date;
  readonly issuedAt?: Date;
  readonly issuedBy?: string;
  readonly reason?: string;
  /** `null`: it is tracked, and the token was never used. Left out: it is not tracked. */
  readonly lastUsedAt?: Date | null;
  /** Left out: it is not revoked. */
  readonly revoked?: Revocation;
}

/** That a token was revoked. */
export interface Revocation {
  readonly at: Date;
  readonly by?: string;
  readonly reason?: string;
}

/** A record that can't be read. It authenticates nobody as it is. */
export interface UnreadableToken {
  readonly digest: string;
  /** What is wrong with it, naming the field. Quotes no value. */
  readonly fault: string;
}

/** Which tokens to look at. All that is given must hold; nothing given: all tokens. */
export interface TokenFilter {
  /** Exactly, as the backend knows it: without the prefix of gateway.yaml. */
  readonly username?: string;
  /** The first digits of the digest, or all 64; lowercase hexadecimal. */
  readonly digest?: string;
}

/** Which tokens to revoke: one by itself or by its whole digest, or all of a user. */
export type TokenSelection = { readonly token: string } | { readonly digest: string } | { readonly username: string };

/** A token that is revoked now. */
export interface RevokedToken {
  readonly token: IssuedToken & { readonly revoked: Revocation };
  /** True when it had been revoked before: its first revocation stands. */
  readonly already: boolean;
}

/**
 * Makes, lists and revokes the tokens of one authenticator, for `sallyport token create`, `token list` and `revoke`. Its connection is
 * one of its own: it may have rights that the gateway itself has not.
 */
export interface TokenIssuer {
  /**
   * Makes a token and stores what is known of it.
   *
   * @returns the token in clear, this once
   * @throws Error in plain words; nothing is stored then, or the message says that it may be
   */
  create(request: TokenRequest, signal: AbortSignal): Promise<{ readonly token: string; readonly issued: IssuedToken }>;

  /**
   * In no order, each token once. What is made or ends meanwhile may be missing.
   *
   * @throws Error when not all could be looked at: what came until then is not all there is
   */
  list(filter: TokenFilter, signal: AbortSignal): AsyncIterable<IssuedToken | UnreadableToken>;

  /**
   * Revokes, one after the other; each one that is given out is revoked for good. Unreadable ones are given out too, as
   * they are: by username, one may be that user's. Gives nothing for a token that is not there.
   *
   * @throws Error when one could not be revoked, or not all could be looked at
   */
  revoke(
    selection: TokenSelection,
    revocation: Revocation,
    signal: AbortSignal,
  ): AsyncIterable<RevokedToken | UnreadableToken>;

  /** Ends connections. A second call does nothing. */
  close(): Promise<void>;
}

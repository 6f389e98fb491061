import type { UserInfo } from './decision.ts';

/** A `TokenRequest` asks for a new token. */
export interface TokenRequest {
  /** The user as the backend will know them: without the prefixes of gateway.yaml. */
  readonly user: UserInfo;
  /** The audiences that the token is bound to. Left out: it is not bound to audiences. Never empty. */
  readonly audiences?: readonly string[];
  /** Left out: the token is valid immediately. */
  readonly notBefore?: Date;
  /** Left out: the token does not expire. */
  readonly expiresAt?: Date;
  /** The person who creates it, for the record. */
  readonly issuedBy: string;
  /** What the token is for. */
  readonly reason?: string;
  /** The token is a session. */
  readonly session?: TokenSession;
}

/** A `TokenSession` makes a token the session of a user who has logged in. */
export interface TokenSession {
  /**
   * Returns the string that is stored with the token, and that a decision about the token has as `session`. It holds for this
   * one token. Only the gateway can read it: the issuer does not look into it. It and the username have at most 64,000 characters.
   *
   * @param digest of the new token: its SHA-256, 64 lowercase hexadecimal digits
   */
  readonly describe: (digest: string) => string;
  /** Milliseconds after which a session that was not used has ended. */
  readonly idle: number;
}

/** An `IssuedToken` is what the issuer knows of a token: all but the token itself, which is stored nowhere. */
export interface IssuedToken {
  /** SHA-256 of the token, 64 lowercase hexadecimal digits: its name once it has been handed out. */
  readonly digest: string;
  readonly user: UserInfo;
  readonly audiences?: readonly string[];
  readonly notBefore?: Date;
  /** The earliest expiry that the backend knows. Left out: none. */
  readonly expiresAt?: Date;
  readonly issuedAt?: Date;
  readonly issuedBy?: string;
  readonly reason?: string;
  /** `null`: use is tracked, and the token was never used. Left out: use is not tracked. */
  readonly lastUsedAt?: Date | null;
  /** What `TokenSession.describe` returned. Left out: it is not a session. */
  readonly session?: string;
  /** Left out: it is not revoked. */
  readonly revoked?: Revocation;
}

/** A `Revocation` says when and why a token was revoked, and who did it. */
export interface Revocation {
  readonly at: Date;
  readonly by?: string;
  readonly reason?: string;
}

/** An `UnreadableToken` is a record that can't be read. It authenticates no one as it is. */
export interface UnreadableToken {
  readonly digest: string;
  /** What is wrong with the record, with the name of the field and without its value. */
  readonly problem: string;
}

/** A filter selects tokens to list. All conditions that are given must hold; without one, all tokens are listed. */
export interface TokenFilter {
  /** The exact name as the backend knows it: without the prefix of gateway.yaml. */
  readonly username?: string;
  /** The first digits of the digest, or all 64; lowercase hexadecimal. */
  readonly digest?: string;
  /** Only sessions of `username` are listed. They are found without reading the tokens of others, however many there are. */
  readonly sessions?: true;
}

/** A selection of tokens to revoke: one by itself or by its whole digest, or all of a user. */
export type TokenSelection =
  | { readonly token: string }
  | { readonly digest: string }
  | { readonly username: string };

/** A token that is revoked now. */
export interface RevokedToken {
  readonly token: IssuedToken & { readonly revoked: Revocation };
  /** True when the token was revoked before: its first revocation remains. */
  readonly already: boolean;
  /** The store has replicas, and none has confirmed the revocation in time: a failover in the next moment can undo it. */
  readonly unconfirmed?: true;
}

/**
 * A `TokenIssuer` creates, lists and revokes the tokens of one authenticator, for `sallyport token create`, `token list` and
 * `revoke`. It has a connection of its own, which may have rights that the gateway itself does not have. The gateway checks a new
 * token against its identity policy before it is created.
 */
export interface TokenIssuer {
  /**
   * Creates a token and stores its record.
   *
   * @returns the token in clear, this once
   * @throws Error in plain words; nothing is stored then, or the message says that it may be
   */
  create(
    request: TokenRequest,
    signal: AbortSignal,
  ): Promise<{ readonly token: string; readonly issued: IssuedToken }>;

  /**
   * Lists tokens in no order, each once. Those that are created or expire in the meantime may be missing.
   *
   * @throws Error when not all could be read: the list so far is incomplete
   */
  list(filter: TokenFilter, signal: AbortSignal): AsyncIterable<IssuedToken | UnreadableToken>;

  /**
   * Revokes one after the other; each one that it yields is revoked. It yields unreadable ones too, as they are: by
   * username, one of them may be that user's. It yields nothing for a token that does not exist.
   *
   * @throws Error when one could not be revoked, or not all could be read
   */
  revoke(
    selection: TokenSelection,
    revocation: Revocation,
    signal: AbortSignal,
  ): AsyncIterable<RevokedToken | UnreadableToken>;

  /**
   * Deletes the record of a token, so that it is unknown from then on. The gateway ends the sessions of a user beyond
   * `login.maxSessions` with it: no one needs to know who ended them. Left out: these are revoked. Does nothing for a token
   * that does not exist.
   */
  delete?(token: Pick<IssuedToken, 'digest' | 'user'>, signal: AbortSignal): Promise<void>;

  /**
   * Tests what the other calls do, for `sallyport check`: a missing right is found before the call is needed. It
   * changes nothing that lasts. Left out: nothing is tested.
   *
   * @returns what works, but not always or not for long, such as a store that loses its tokens when it restarts. Each string
   *   says how to fix it, and contains no secret
   * @throws Error when one of the other calls would fail
   */
  check?(uses: IssuerUses, signal: AbortSignal): Promise<readonly string[]>;

  /** Ends connections. A second call does nothing. */
  close(): Promise<void>;
}

/** The uses that the gateway has for an issuer. */
export interface IssuerUses {
  /** The gateway itself issues, lists and revokes sessions with it. Otherwise only the commands use it. */
  readonly sessions: boolean;
}

import type { Authority } from './certificates.ts';

/** What the real directory servers have in common: each its own, on loopback, stopped and deleted when it is let go. */
export interface LdapServer extends AsyncDisposable {
  /** `ldap://ADDRESS:PORT`; StartTLS is offered there. */
  readonly url: string;
  readonly ldapsUrl: string;
  readonly authority: Authority;
  readonly caFile: string;
  /** The DN above all entries. */
  readonly suffix: string;
  /** Adds LDIF content records. @throws Error with the words of ldapadd */
  add(ldif: string): Promise<void>;
  /** Applies LDIF change records. @throws Error with the words of ldapmodify */
  modify(ldif: string): Promise<void>;
  /** Connections end, and new ones are refused. */
  stop(): Promise<void>;
  /** After `stop` or `hang`: on the same address and ports, with the same data. */
  start(): Promise<void>;
  /** Connections stay, new ones are accepted, and nothing is answered. */
  hang(): Promise<void>;
}

/** An account with its password. */
export interface Account {
  readonly dn: string;
  readonly password: string;
}

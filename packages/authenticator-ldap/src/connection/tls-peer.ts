import type { TlsPeer } from '@sallyport/plugin-options';

const noTls = 'is this the port for ldaps (mostly 636), or should the URL begin with ldap:// and use StartTLS?';

/** @param name the name or address that the certificate must have */
export const peerOf = (name: string): TlsPeer => ({ name, noTls });

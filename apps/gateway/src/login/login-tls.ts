import type { GatewayConfig } from '../config/types.ts';
import { readTlsMaterial, type TlsMaterial } from '../server/tls.ts';

/** The TLS of each address; undefined where it is plain HTTP, or not there. */
export type TlsOfAddresses = Awaited<ReturnType<typeof readTls>>;

/** @throws Error naming the file, the problem and how to fix it */
export async function readTls({ server, login }: Pick<GatewayConfig, 'server' | 'login'>) {
  return {
    server: server.tls && (await readTlsMaterial(server.tls)),
    login: login?.tls && (await readTlsMaterial(login.tls, 'login')),
  };
}

/** All certificates in force. */
export function certificatesOf({ server, login }: TlsOfAddresses): TlsMaterial['certificates'] {
  return [...(server?.certificates ?? []), ...(login?.certificates ?? [])];
}

import type { GatewayConfig } from '../config/types.ts';
import { readTlsMaterial, type TlsMaterial } from '../http/tls.ts';

/** The TLS of each address. It is undefined where the address has plain HTTP, or is not in the config. */
export type TlsOfAddresses = Awaited<ReturnType<typeof readTls>>;

/** Reads the TLS of all addresses. @throws Error naming the file, the problem and how to fix it */
export async function readTls({ server, login }: Pick<GatewayConfig, 'server' | 'login'>) {
  return {
    server: server.tls && (await readTlsMaterial(server.tls)),
    login: login?.tls && (await readTlsMaterial(login.tls, 'login')),
  };
}

/** Lists all certificates in force. */
export function listCertificates({ server, login }: TlsOfAddresses): TlsMaterial['certificates'] {
  return [...(server?.certificates ?? []), ...(login?.certificates ?? [])];
}

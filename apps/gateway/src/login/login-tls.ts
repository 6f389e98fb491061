import type { GatewayConfig } from '../config/types.ts';
import { readTlsMaterial, type TlsMaterial } from '../server/tls.ts';

/** The TLS of each address; undefined where it is plain HTTP, or not there. */
export type TlsOfAddresses = Awaited<ReturnType<typeof readTls>>;

/** @throws Error naming the file, the problem and how to fix it */
export async function readTls({ server, login }: Pick<GatewayConfig, 'server' | 'login'>) {
  return {
    server: server.tls && (await readTlsMaterial(server.tls)),
    login: login?.tls && (await readLoginTls(login.tls)),
  };
}

/** Reads the files of `login.tls` as those of `server.tls` are read, with messages about this address. */
export async function readLoginTls(tls: Parameters<typeof readTlsMaterial>[0]): Promise<TlsMaterial> {
  const material = await readTlsMaterial(tls).catch((error: unknown) => {
    throw renamed(error);
  });
  const certificates = material.certificates.map((one) => ({ ...one, certificate: 'login' as const }));
  return { ...material, certificates, warnings: material.warnings.map(ofLogin) };
}

function renamed(error: unknown): unknown {
  if (error instanceof AggregateError) return new AggregateError(error.errors.map(renamed), ofLogin(error.message));
  return error instanceof Error ? new Error(ofLogin(error.message), { cause: error.cause }) : error;
}

function ofLogin(text: string): string {
  return text
    .replaceAll('server.tls', 'login.tls')
    .replaceAll('the server certificate', 'the login certificate')
    .replaceAll('kube-apiserver would', 'clients would');
}

/** All certificates in force. */
export function certificatesOf({ server, login }: TlsOfAddresses): TlsMaterial['certificates'] {
  return [...(server?.certificates ?? []), ...(login?.certificates ?? [])];
}

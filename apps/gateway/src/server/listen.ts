import type { AddressInfo, Server } from 'node:net';
import type { ListenAddress } from '../config/types.ts';

const causes: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it, or use another port',
  EACCES: 'permission denied: use a port above 1023',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'no such host name: use an IP address',
};

/**
 * @param setting the key of the address in the config, for the message
 * @returns the port, which the system chose if it was 0
 * @throws Error naming the setting, the address and how to fix it
 */
export async function listen(server: Server, { host, port }: ListenAddress, setting: string): Promise<number> {
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen({ host, port }, listening.resolve);
  try {
    await listening.promise;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new Error(`${setting}: cannot listen on ${authority(host, port)}: ${causes[code] ?? code}`, { cause: error });
  } finally {
    server.off('error', listening.reject);
  }
  return (server.address() as AddressInfo).port;
}

/** `host:port` as in URLs, with IPv6 addresses in brackets. */
export function authority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

import type { AddressInfo, Server } from 'node:net';
import type { ListenAddress } from '../config/types.ts';

const causes: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it, or take another port',
  EACCES: 'this user may not: take a port above 1023',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'no such host name: give an IP address',
};

/**
 * @param setting where the address stands in the config, for the message
 * @returns the port, taken now if it was 0
 * @throws Error naming the setting, the address and the mend
 */
export async function listen(server: Server, { host, port }: ListenAddress, setting: string): Promise<number> {
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen({ host, port }, listening.resolve);
  try {
    await listening.promise;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new Error(`${setting}: can't listen on ${authority(host, port)}: ${causes[code] ?? code}`, { cause: error });
  } finally {
    server.off('error', listening.reject);
  }
  return (server.address() as AddressInfo).port;
}

/** `host:port` as URLs have it: IPv6 addresses in brackets. */
export function authority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

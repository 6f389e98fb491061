import type { Socket } from 'node:net';
import { requestTls } from './starttls.ts';
import { connectTcp } from './tcp.ts';
import { connectTls } from './tls.ts';
import type { ConnectOptions } from './types.ts';

/**
 * Opens the socket for LDAP. In clear text only if the server is `insecure`; every other way ends in a checked TLS
 * socket or in a throw, with no socket left.
 */
export async function openTransport(options: ConnectOptions): Promise<Socket> {
  const socket = await connectTcp(options);
  switch (options.server.security) {
    case 'insecure':
      return socket;
    case 'ldaps':
      return await connectTls(socket, options);
    case 'starttls':
      await requestTls(socket, options);
      return await connectTls(socket, options);
  }
}

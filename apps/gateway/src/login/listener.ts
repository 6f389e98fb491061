import type { LoginConfig } from '../config/types.ts';
import { type HttpListener, startHttpListener } from '../server/http-listener.ts';
import type { ConnectionLimits } from '../server/limits.ts';
import type { TlsMaterial } from '../server/tls.ts';
import { createLoginApp, errorBody, type LoginDependencies } from './app.ts';

export interface LoginServerOptions extends LoginDependencies {
  /** At the start: an address needs a restart. */
  readonly config: LoginConfig;
  readonly tls: TlsMaterial | undefined;
  readonly limits?: Partial<ConnectionLimits> | undefined;
}

/** The server at which people log in. */
export interface LoginServer extends Pick<HttpListener, 'url' | 'drain' | 'close'> {
  /** Sets TLS for new connections. @throws Error if the certificate and key do not fit; what was in force stays */
  updateTls(material: TlsMaterial): void;
}

/**
 * Milliseconds. A client logs in and goes; a person's next request may be hours away. A handshake may cross a slow network, and wait for those of
 * a crowd.
 */
const [idleTimeout, handshakeTimeout, maxConnectionAge] = [20_000, 10_000, 120_000];

/**
 * Listens on `login.listen`. Anyone may connect, so no connection ever counts as that of a known client: one too many closes the oldest of the
 * address that has the most.
 *
 * @throws Error naming the address and how to fix it
 */
export async function startLoginServer(options: LoginServerOptions): Promise<LoginServer> {
  const { config, tls, limits, logger } = options;
  const listener = await startHttpListener({
    address: config.listen,
    setting: 'login.listen',
    tls,
    limits: { idleTimeout, handshakeTimeout, ...limits },
    maxConnectionAge: () => maxConnectionAge,
    logger,
    spreadsHandshakes: true,
    createApp: (connections, all) => createLoginApp(options, connections, all),
    unreadableBody: errorBody,
  });
  return { ...listener, updateTls: (material) => listener.setTls(material, false) };
}

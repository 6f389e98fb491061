import { isLoopback } from '../config/listen.ts';
import type { GatewayConfig, ListenAddress } from '../config/types.ts';

/** Addresses given on the command line. They take the place of the config's, also after a reload. */
export interface ListenOverrides {
  readonly listen?: ListenAddress;
  readonly adminListen?: ListenAddress;
}

/** @throws Error when `listen` is off loopback and the config has no TLS */
export function withListen(config: GatewayConfig, { listen, adminListen }: ListenOverrides): GatewayConfig {
  if (listen !== undefined && config.server.tls === undefined && !isLoopback(listen.host)) {
    throw new Error(
      `--listen ${listen.host}: plain HTTP is answered on loopback only: set server.tls in ${config.file}`,
    );
  }
  return {
    ...config,
    server: { ...config.server, ...(listen === undefined ? {} : { listen }) },
    admin: { ...config.admin, ...(adminListen === undefined ? {} : { listen: adminListen }) },
  };
}

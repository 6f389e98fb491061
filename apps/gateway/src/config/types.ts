import type { GatewayConfig } from './load.ts';

export type { AuthenticatorCacheConfig, CacheLifetimes } from './cache/lifetimes.ts';
export type { ListenAddress } from './listen.ts';
export type { GatewayConfig };

export type ServerConfig = GatewayConfig['server'];
export type TlsConfig = NonNullable<ServerConfig['tls']>;
export type AuthenticatorConfig = GatewayConfig['authenticators'][number];
export type CircuitConfig = AuthenticatorConfig['circuit'];
/** An IdentityConfig is what the identity policy of one authenticator allows. */
export type IdentityConfig = Pick<
  AuthenticatorConfig,
  'username' | 'groups' | 'allowSystemNames' | 'allowCredentialId'
>;
export type DirectoryConfig = NonNullable<AuthenticatorConfig['directory']>;
export type CacheRedisConfig = NonNullable<GatewayConfig['cache']['redis']>;
export type LockoutConfig = GatewayConfig['lockout'];
export type AuditConfig = NonNullable<GatewayConfig['audit']>;
export type TracingConfig = NonNullable<GatewayConfig['tracing']>;
export type LoginConfig = NonNullable<GatewayConfig['login']>;
export type ProviderConfig = LoginConfig['providers'][string];
export type SecondFactorConfig = NonNullable<LoginConfig['secondFactor']>;

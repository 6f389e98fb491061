import { join } from 'node:path';
import type { Authority } from './certificates.ts';
import { hasIPv6 } from './ports.ts';

/** What a Redis and a Sentinel have in common. */
export interface ListenerSettings {
  readonly folder: string;
  /** 0: none, and so for TLS. */
  readonly port: number;
  readonly tlsPort: number;
  readonly authority: Authority;
  readonly requiresClientCertificate: boolean;
  /** The default user's. */
  readonly password: string | undefined;
}

export interface RedisSettings extends ListenerSettings {
  /** The port on which nodes of a cluster talk; undefined: it is in none. */
  readonly busPort: number | undefined;
  readonly users: readonly string[];
  readonly more: Readonly<Record<string, string>>;
}

/** The socket through which the fixture looks in: nobody else's server can stand behind it. */
export function socketIn(folder: string): string {
  return join(folder, 'socket');
}

/** What stands in redis.conf and in sentinel.conf. */
export async function listenerLines(settings: ListenerSettings): Promise<string[]> {
  const { folder, authority, requiresClientCertificate } = settings;
  const certificate = await authority.issueServer();
  return [
    `bind 127.0.0.1${hasIPv6 ? ' ::1' : ''}`,
    `port ${settings.port}`,
    `tls-port ${settings.tlsPort}`,
    `unixsocket ${socketIn(folder)}`,
    // Else a Redis without a password turns away whoever does not come over loopback; here all do.
    'protected-mode no',
    'daemonize no',
    `dir ${folder}`,
    `tls-cert-file ${certificate.certificateFile}`,
    `tls-key-file ${certificate.keyFile}`,
    `tls-ca-cert-file ${authority.certificateFile}`,
    `tls-auth-clients ${requiresClientCertificate ? 'yes' : 'no'}`,
    ...(requiresClientCertificate ? await clientCertificateLines(authority) : []),
    ...(settings.password === undefined ? [] : [`requirepass ${settings.password}`]),
  ];
}

/** A replica and a Sentinel are clients of the master, and its certificate is for servers only. */
async function clientCertificateLines(authority: Authority): Promise<string[]> {
  const { certificateFile, keyFile } = await authority.issueClient('redis');
  return [`tls-client-cert-file ${certificateFile}`, `tls-client-key-file ${keyFile}`];
}

/** redis.conf. What is in `more` stands last, and so counts. */
export async function redisConfiguration(settings: RedisSettings): Promise<string> {
  const { busPort, users, password, more } = settings;
  return [
    ...(await listenerLines(settings)),
    ...(password === undefined ? [] : [`masterauth ${password}`]),
    // Each write is in the file before its answer goes out: what a client was told survives a kill.
    'appendonly yes',
    'appendfsync always',
    'save ""',
    // A replica that hangs must not hold up the end of its master for long.
    'shutdown-timeout 1',
    // One replica is all that comes: no other is worth a wait of 5 s.
    'repl-diskless-sync-delay 0',
    ...(busPort === undefined ? [] : ['cluster-enabled yes', `cluster-port ${busPort}`]),
    ...users,
    ...Object.entries(more).map(([name, value]) => `${name} ${value}`),
    '',
  ].join('\n');
}

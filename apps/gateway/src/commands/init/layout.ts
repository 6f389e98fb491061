import { join } from 'node:path';
import { isLoopback } from '@sallyport/plugin-kit';
import { authority } from '../../http/http-server.ts';
import type { KeyPair } from './certificates.ts';
import type { NewFile } from './files.ts';

const port = 8443;

/** The common name of the client certificate, which `clientNames` in the config demands. */
export const clientName = 'kube-apiserver';

/** The files that `init` makes, by their paths in its folder. */
export const names = {
  config: 'gateway.yaml',
  tokens: 'tokens.yaml',
  authority: 'tls/ca.crt',
  authorityKey: 'tls/ca.key',
  server: 'tls/server.crt',
  serverKey: 'tls/server.key',
  kubeconfig: 'kube-apiserver/webhook.kubeconfig',
  clientAuthority: 'kube-apiserver/ca.crt',
  client: 'kube-apiserver/client.crt',
  clientKey: 'kube-apiserver/client.key',
} as const;

/** The files that `--redis` adds. */
export const redisNames = {
  password: 'secrets/redis-password',
  sealingKey: 'secrets/sealing-key',
  authority: 'tls/redis-ca.crt',
} as const;

/** The files that `--login` adds. */
export const loginNames = {
  certificate: 'tls/login.crt',
  key: 'tls/login.key',
  directoryPassword: 'secrets/ldap-password',
} as const;

const secrets: ReadonlySet<string> = new Set([
  ...[names.tokens, names.authorityKey, names.serverKey, names.clientKey, loginNames.key],
  ...[redisNames.password, redisNames.sealingKey, loginNames.directoryPassword],
]);

export function filesIn(folder: string, contents: Readonly<Record<string, string>>): NewFile[] {
  return Object.entries(contents).map(([name, content]) => {
    return { path: join(folder, name), content, isSecret: secrets.has(name) };
  });
}

export function formatEnd({ notAfter }: Pick<KeyPair, 'notAfter'>): string {
  return notAfter.toISOString().slice(0, 10);
}

export function webhookUrl(host: string): string {
  return `https://${authority(host, port)}/authenticate`;
}

/**
 * Returns the address to listen on. `0.0.0.0` is every IPv4 address; without a host it is every address of both kinds. If the only
 * address is loopback, only this machine can call, so no other machine needs to reach the port.
 */
export function listenOn(hosts: readonly string[], listenPort: number): string {
  const addresses = new Set(hosts.map((host) => (host === 'localhost' ? '127.0.0.1' : host)));
  if (hosts.every(isLoopback) && addresses.size === 1) {
    const address = authority([...addresses].join(), listenPort);
    return address.startsWith('[') ? `"${address}"` : address;
  }
  return hosts.some((host) => host.includes(':')) ? `":${listenPort}"` : `0.0.0.0:${listenPort}`;
}

/** Writes gateway.yaml. @param sections keys of `server`, entries of `authenticators`, and sections of the file, that come after these */
export function gatewayYaml(
  hosts: readonly string[],
  sections: { server: string; authenticators: string; sections: string },
): string {
  const listen = listenOn(hosts, port);
  return `# Sallyport's config. Check it after each change: sallyport check --config gateway.yaml
server:
  listen: ${listen} # kube-apiserver calls this address
  tls:
    certFile: ${names.server}
    keyFile: ${names.serverKey}
    clientCAFile: ${names.authority}
    clientNames: [${clientName}] # only a client certificate with this name may send reviews
${sections.server}admin:
  listen: 127.0.0.1:8081 # /metrics /livez /readyz, and the status page at /
authenticators: # asked in this order; the first definitive answer decides
  - name: tokens
    use: static
    options:
      tokensFile: ${names.tokens}
${sections.authenticators}${sections.sections}`;
}

export function tokensYaml(entry: string): string {
  return `# Digests of tokens. Add an entry: sallyport token hash --generate --user NAME >> tokens.yaml
# The first entry is for a first try: its user is in no group, and its token expires after a day. Delete it when you like.
tokens:
${entry}`;
}

/** Writes the webhook kubeconfig. Its paths start at its folder, so it works wherever the folder is copied to. */
export function webhookKubeconfig(host: string): string {
  return `# For --authentication-token-webhook-config-file of kube-apiserver, which reads this file only when it starts. It reads the
# certificates again when they change. Keep them next to this file.
apiVersion: v1
kind: Config
clusters:
  - name: sallyport
    cluster:
      # Not the name of a Service: kube-apiserver does not use the cluster's DNS.
      server: ${webhookUrl(host)}
      certificate-authority: ca.crt
users:
  - name: ${clientName}
    user:
      client-certificate: client.crt
      client-key: client.key
contexts:
  - name: webhook
    context: { cluster: sallyport, user: ${clientName} }
current-context: webhook
`;
}

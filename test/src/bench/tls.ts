import { type Authority, createAuthority } from '@sallyport/test-servers/certificates';
import type { ClientFiles } from './client.ts';

/** Both ends of mutual TLS, as PEM texts: the same for all contenders. */
export interface Tls {
  readonly client: ClientFiles;
  readonly server: { readonly cert: string; readonly key: string; readonly ca: string };
}

export async function createTls(resources: AsyncDisposableStack): Promise<Tls> {
  const authority: Authority = resources.use(await createAuthority());
  const [server, client] = await Promise.all([authority.issueServer(), authority.issueClient('kube-apiserver')]);
  const ca = authority.certificate;
  return {
    client: { ca, cert: client.certificate, key: client.key },
    server: { ca, cert: server.certificate, key: server.key },
  };
}

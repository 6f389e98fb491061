import { type Authority, createAuthority } from '@sallyport/test-servers/certificates';

/** The PEM texts of a client. */
export interface ClientFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Both ends of mutual TLS, as PEM texts: the same for all contenders. */
export interface Tls {
  readonly client: ClientFiles;
  readonly server: { readonly cert: string; readonly key: string; readonly ca: string };
  /** Makes another certificate of the server, with its key. */
  renew(): Promise<{ readonly cert: string; readonly key: string }>;
}

export async function createTls(resources: AsyncDisposableStack): Promise<Tls> {
  const authority: Authority = resources.use(await createAuthority());
  const ca = authority.certificate;
  const renew = async () => {
    const { certificate: cert, key } = await authority.issueServer();
    return { cert, key };
  };
  const [server, { certificate, key }] = await Promise.all([
    renew(),
    authority.issueClient('kube-apiserver'),
  ]);
  return { client: { ca, cert: certificate, key }, server: { ca, ...server }, renew };
}

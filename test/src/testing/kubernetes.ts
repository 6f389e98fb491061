import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority } from '@sallyport/test-servers/certificates';
import type { ReviewStatus } from './token-review.ts';

/** An API server with one namespace. It asks the gateways about each request, and caches no answer. */
export interface Kubernetes extends AsyncDisposable {
  readonly url: string;
  /** Its CA in PEM. */
  readonly caFile: string;
}

const namespaces = {
  kind: 'Namespace',
  name: 'namespaces',
  singularName: 'namespace',
  namespaced: false,
};

const answers: Readonly<Record<string, object>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [{ ...namespaces, verbs: ['get', 'list'] }],
  },
  '/api/v1/namespaces': {
    kind: 'NamespaceList',
    apiVersion: 'v1',
    metadata: { resourceVersion: '1' },
    items: [{ metadata: { name: 'default' } }],
  },
};

/** Starts an API server. @param ask returns the answer of each gateway about a token */
export async function startKubernetes(
  ask: (token: string) => Promise<readonly ReviewStatus[]>,
): Promise<Kubernetes> {
  const authority = await createAuthority('kubernetes-authority');
  const { certificate, key } = await authority.issueServer();
  const statusOf = async (authorization = ''): Promise<401 | 200> => {
    const [, token] = /^Bearer (.+)$/.exec(authorization) ?? [];
    if (token === undefined) return 401;
    const reviews = await ask(token).catch(() => []);
    return reviews.length > 0 && reviews.every(({ authenticated }) => authenticated) ? 200 : 401;
  };
  const server = createServer({ cert: certificate, key }, (request, response) => {
    void statusOf(request.headers.authorization).then((status) => {
      const path = request.url?.split('?')[0] ?? '';
      const body =
        status === 200
          ? answers[path]
          : {
              kind: 'Status',
              apiVersion: 'v1',
              status: 'Failure',
              reason: 'Unauthorized',
              message: 'Unauthorized',
              code: 401,
            };
      const code = body === undefined ? 404 : status;
      response
        .writeHead(code, { 'content-type': 'application/json' })
        .end(JSON.stringify(body ?? {}));
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caFile: authority.certificateFile,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

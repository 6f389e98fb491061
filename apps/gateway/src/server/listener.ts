import { createReviewApp, type ReviewDependencies } from './app.ts';
import { createClientCheck } from './client-certificate.ts';
import { type HttpListener, startHttpListener } from './http-listener.ts';
import { type ServerRequest, transportOf } from './http-server.ts';
import type { ConnectionLimits } from './limits.ts';
import type { TlsMaterial } from './tls.ts';

export interface ReviewServerOptions extends ReviewDependencies {
  /** Undefined for plain HTTP, which the config allows on loopback only. */
  readonly tls?: TlsMaterial;
  readonly limits?: Partial<ConnectionLimits>;
}

/** The server that kube-apiserver calls. */
export interface ReviewServer extends Pick<HttpListener, 'url' | 'port' | 'drain' | 'close'> {
  /**
   * Sets TLS for new connections. Open ones stay, unless the client CA or names changed: then they are retired, and the
   * new names apply to their very next request.
   *
   * @throws Error if the certificate and key do not fit, or the server is plain; what was in force stays
   */
  updateTls(material: TlsMaterial): void;
}

/**
 * Listens on `server.listen`.
 *
 * @throws Error naming the address and how to fix it
 */
export async function startReviewServer(options: ReviewServerOptions): Promise<ReviewServer> {
  const { settings, logger } = options;
  let material = options.tls;
  const listener = await startHttpListener({
    address: settings().listen,
    setting: 'server.listen',
    tls: material,
    limits: options.limits,
    maxConnectionAge: () => settings().maxConnectionAge,
    logger,
    createApp(connections, { bodyTimeout }) {
      const check = createClientCheck({
        names: () => material?.client?.names,
        onExpired: connections.retire,
        onWrongName: (request) => connections.find(request)?.restrict(),
        logger,
      });
      const gate = { admit: onFirst(check, connections.admit), isLastAnswer: connections.isLastAnswer };
      return createReviewApp(options, bodyTimeout, gate);
    },
  });
  return {
    ...listener,
    updateTls(next) {
      if (material === undefined) throw new Error('server.tls: a server of plain HTTP needs a restart to use TLS');
      listener.setTls(next, !isSameClient(material, next));
      material = next;
    },
  };
}

type ClientCheck = ReturnType<typeof createClientCheck>;

/** Calls `act` at the first request of each connection that passes `check`. */
function onFirst(check: ClientCheck, act: (request: ServerRequest) => void): ClientCheck {
  const passed = new WeakSet<object>();
  return (request) => {
    const subject = check(request);
    const transport = transportOf(request);
    if (!passed.has(transport)) {
      passed.add(transport);
      act(request);
    }
    return subject;
  };
}

function isSameClient(one: TlsMaterial, other: TlsMaterial): boolean {
  if (one.client === undefined || other.client === undefined) return one.client === other.client;
  return one.client.ca.equals(other.client.ca) && one.client.names.join('\0') === other.client.names.join('\0');
}

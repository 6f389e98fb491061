import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { explainTls, oneLine, type TlsSettings } from '@sallyport/plugin-options';
import { faultsOf, ignoreErrors, runStep, seconds } from './step.ts';
import { peerOf } from './tls-peer.ts';
import type { ConnectOptions } from './types.ts';

/**
 * The handshake over a connected socket. The socket that it gives is encrypted, and the certificate of the other side
 * was found good for the server's name. On failure both sockets are gone.
 */
export function connectTls(raw: Socket, options: ConnectOptions): Promise<TLSSocket> {
  const { server, stepTimeout, signal } = options;
  const fault = faultsOf(server, 'tls');
  const onTimeout = () => fault('timeout', `the handshake did not end within ${seconds(stepTimeout)}`);
  return runStep<TLSSocket>({ socket: raw, signal, timeout: stepTimeout, onTimeout }, (end) => {
    let settings: TlsSettings;
    let socket: TLSSocket;
    try {
      settings = options.tls();
      socket = connect(connectionOptions(raw, server.host, settings));
    } catch (error) {
      end.fail(fault('tls', `caFile, certFile or keyFile cannot be used: ${oneLine(String(error))}`, error));
      return () => {};
    }
    ignoreErrors(socket);
    const onSecure = () => {
      if (socket.authorized && socket.encrypted) {
        end.succeed(socket);
      } else {
        end.fail(fault('tls', `the certificate was not accepted: ${String(socket.authorizationError)}`));
      }
    };
    const onError = (error: Error) => {
      const { kind, problem } = explainTls(error, peerOf(settings.serverName ?? server.host));
      end.fail(fault(kind, problem, error));
    };
    const onClose = () => end.fail(fault('closed', 'the connection was closed in the handshake'));
    socket.on('secureConnect', onSecure).on('error', onError).on('close', onClose);
    return () => socket.off('secureConnect', onSecure).off('error', onError).off('close', onClose);
  });
}

function connectionOptions(socket: Socket, host: string, settings: TlsSettings): ConnectionOptions {
  const name = settings.serverName ?? host;
  return {
    socket,
    // What the certificate is checked against. Without it, Node takes "localhost" for a socket that is given.
    host: name,
    // SNI has names only (RFC 6066 section 3).
    ...(isIP(name) ? {} : { servername: name }),
    rejectUnauthorized: true,
    secureContext: contextOf(settings),
  };
}

interface Made {
  readonly settings: TlsSettings;
  readonly context: SecureContext;
}

/** By the CA file: with 150 authorities in it, making a context costs 5 ms of the CPU, far more than a login else. */
const made = new WeakMap<Buffer, Made>();

function contextOf(settings: TlsSettings): SecureContext {
  const { ca, certificate, key, minVersion } = settings;
  const kept = ca && made.get(ca);
  if (kept && isSame(kept.settings, settings)) {
    return kept.context;
  }
  const context = createSecureContext({
    minVersion,
    ...(ca && { ca }),
    ...(certificate && { cert: certificate }),
    ...(key && { key }),
  });
  if (ca) {
    made.set(ca, { settings, context });
  }
  return context;
}

function isSame(one: TlsSettings, other: TlsSettings): boolean {
  return one.certificate === other.certificate && one.key === other.key && one.minVersion === other.minVersion;
}

import { closeSync, openSync } from 'node:fs';
import { connect, isIP, type Socket } from 'node:net';
import {
  connect as connectSecurely,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import {
  durationText,
  explainTls,
  oneLine,
  type TlsPeer,
  type TlsSettings,
  within,
} from '@sallyport/plugin-kit';
import { createFramer, encodeStartTls, startTlsName } from './codec.ts';
import { decodeMessage, type Message } from './message.ts';
import { createErrors, type MakeError, WireError } from './server-error.ts';
import type { ConnectOptions } from './types.ts';

/** Opens TCP. Each address of a name gets a third of the step's time, so that the second address is reached in time. */
export function connectTcp(options: ConnectOptions): Promise<Socket> {
  const { server, stepTimeout } = options;
  const makeError = createErrors(server, 'connect');
  const socket = connect({
    host: server.host,
    port: server.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: Math.max(10, Math.floor(stepTimeout / 3)),
  });
  socket.on('error', ignore);
  const problem = `no connection within ${durationText(stepTimeout)}; is the port open through every firewall on the way?`;
  const late = () => makeError('timeout', problem);
  return runStep(socket, options, late, async () => {
    const closed = () => makeError('closed', 'the connection was closed');
    await opened(socket, 'connect', (error) => explain(error, makeError), closed);
    return socket;
  });
}

/** Runs one step of making a connection, and destroys the socket if it fails. @throws as `within` */
async function runStep<T>(
  socket: Socket,
  { stepTimeout: limit, signal }: ConnectOptions,
  late: () => Error,
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await within({ signal, limit, late }, step);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/**
 * Waits for an event of a socket.
 *
 * @throws what `failed` makes of an earlier error, or what `closed` makes of an earlier end
 */
function opened(
  socket: Socket,
  event: string,
  failed: (error: Error) => Error,
  closed: () => Error,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onError = (error: Error) => reject(failed(error));
  const onClose = () => reject(closed());
  socket.on(event, resolve).on('error', onError).on('close', onClose);
  return promise.finally(() =>
    socket.off(event, resolve).off('error', onError).off('close', onClose),
  );
}

/** An error event without a listener would end the process. Each user of the socket has its own listener besides. */
const ignore = () => {};

const problems: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'connection refused: nothing listens on this port, so check the port and that the server runs',
  ENOTFOUND: 'there is no such host name: check it in the options, and DNS here',
  EAI_AGAIN: 'the host name could not be looked up: DNS did not answer',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no connection: the host did not answer',
};

function explain(error: NodeJS.ErrnoException, makeError: MakeError): Error {
  const shortage = describeShortage(error);
  if (shortage !== undefined) return makeError('shortage', shortage, error);
  const problem = problems[error.code ?? ''];
  // With several addresses the message of the whole is empty, and each address has its own.
  const details =
    error instanceof AggregateError ? error.errors.map(String).join('; ') : error.message;
  return makeError(
    'unreachable',
    problem ? `${problem} (${oneLine(details)})` : oneLine(details),
    error,
  );
}

const shortages: Readonly<Record<string, string>> = {
  EMFILE: 'file descriptors: raise the limit of open files (ulimit -n, LimitNOFILE)',
  ENFILE: 'file descriptors of the whole system: raise fs.file-max',
  EBUSY:
    'what a name lookup needs, usually file descriptors: raise the limit of open files (ulimit -n, LimitNOFILE)',
  EADDRNOTAVAIL: 'local ports: widen net.ipv4.ip_local_port_range',
  EAGAIN: 'local ports: widen net.ipv4.ip_local_port_range',
  ENOBUFS: 'network buffers: give it more memory',
  ENOMEM: 'memory: give it more',
  EAI_MEMORY: 'memory: give it more',
};

/**
 * Says what this machine lacked when a connection or a lookup failed, and the fix.
 *
 * @returns undefined for any other cause
 */
export function describeShortage(error: unknown): string | undefined {
  const causes: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  for (const cause of causes) {
    const { code = '', syscall } = (cause ?? {}) as NodeJS.ErrnoException;
    // A lookup that can't open a file or a socket reports only that there is no such name, or that DNS refused.
    const isLookup = syscall === 'getaddrinfo' || syscall?.startsWith('query');
    const shortageCode = shortages[code] === undefined && isLookup ? codeOfOpening() : code;
    if (shortages[shortageCode] !== undefined)
      return `this machine is short of ${shortages[shortageCode]} (${shortageCode})`;
  }
  return undefined;
}

/** Opens one more file. @returns its error code, empty when it works */
function codeOfOpening(): string {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  }
}

const messageId = 1;

const noStartTls =
  'if this is its port for ldaps (usually 636), write ldaps://, else let the server allow StartTLS';

/** The limits for the answer to StartTLS, which is one LDAPResult of a server that is not known yet. */
const maxElements = 100;
const maxBytes = 65_536;

/**
 * Asks for TLS and waits for the confirmation (RFC 4511 section 4.14). It reads nothing else from
 * the socket: bytes that someone on the way adds in clear text must never count as the server's.
 */
export function requestTls(socket: Socket, options: ConnectOptions): Promise<void> {
  const makeError = createErrors(options.server, 'starttls');
  const late = () => makeError('timeout', `no answer within ${durationText(options.stepTimeout)}`);
  return runStep(socket, options, late, () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const framer = createFramer(maxBytes);
    const onData = (chunk: Buffer) => {
      try {
        const [answer, ...surplus] = framer.push(chunk);
        if (answer === undefined) return;
        socket.pause();
        checkAnswer(decodeMessage(answer, { elements: maxElements }), makeError);
        if (surplus.length > 0 || framer.pending > 0 || socket.readableLength > 0) {
          throw makeError(
            'protocol',
            'there were bytes behind the answer: someone on the way may be tampering',
          );
        }
        resolve();
      } catch (error) {
        reject(
          error instanceof WireError
            ? makeError(error.kind, `this is not LDAP: ${error.message}`, error)
            : error,
        );
      }
    };
    const onClose = () =>
      reject(makeError('closed', `the connection was closed before the answer: ${noStartTls}`));
    socket.on('data', onData).on('end', onClose).on('close', onClose);
    socket.write(encodeStartTls(messageId));
    return promise.finally(() =>
      socket.off('data', onData).off('end', onClose).off('close', onClose),
    );
  });
}

function checkAnswer(answer: Message, makeError: MakeError): void {
  if (
    answer.kind !== 'extended' ||
    answer.id !== messageId ||
    (answer.name ?? startTlsName) !== startTlsName
  ) {
    throw makeError('protocol', 'the server sent something else than the answer');
  }
  if (answer.code === 0) return;
  const text = answer.diagnosticMessage === '' ? '' : `: ${oneLine(answer.diagnosticMessage)}`;
  const fix = 'check that the server has a certificate, or use ldaps://';
  throw makeError('answer', `refused with result code ${answer.code}${text}; ${fix}`);
}

/**
 * Does the handshake over a connected socket. The resulting socket is encrypted, and the
 * certificate of the other side is valid for the server's name. On failure both sockets are
 * destroyed.
 */
export function connectTls(raw: Socket, options: ConnectOptions): Promise<TLSSocket> {
  const { server } = options;
  const makeError = createErrors(server, 'tls');
  const late = () =>
    makeError('timeout', `the handshake did not end within ${durationText(options.stepTimeout)}`);
  return runStep(raw, options, late, async () => {
    let host = server.host;
    let socket: TLSSocket;
    try {
      const settings = options.tls();
      host = settings.serverName ?? host;
      socket = connectSecurely({
        socket: raw,
        // The certificate is checked against this name. Without it, Node takes "localhost" for a given socket.
        host,
        // SNI allows names only (RFC 6066 section 3).
        ...(isIP(host) ? {} : { servername: host }),
        rejectUnauthorized: true,
        secureContext: makeContext(settings),
      });
    } catch (error) {
      throw makeError(
        'tls',
        `caFile, certFile or keyFile can't be used: ${oneLine(String(error))}`,
        error,
      );
    }
    socket.on('error', ignore);
    const failed = (error: Error) => {
      const { kind, problem } = explainTls(error, makePeer(host));
      return makeError(kind, problem, error);
    };
    await opened(socket, 'secureConnect', failed, () =>
      makeError('closed', 'the connection was closed in the handshake'),
    );
    if (socket.authorized && socket.encrypted) return socket;
    throw makeError(
      'tls',
      `the certificate was not accepted: ${String(socket.authorizationError)}`,
    );
  });
}

const noTls =
  'is this the port for ldaps (usually 636), or should the URL begin with ldap:// and use StartTLS?';

export const makePeer = (name: string): TlsPeer => ({ name, noTls });

/** The contexts by CA file. With 150 authorities, making one costs 5 ms of CPU, far more than the rest of a login. */
const contexts = new WeakMap<Buffer, TlsSettings & { readonly context: SecureContext }>();

function makeContext(settings: TlsSettings): SecureContext {
  const { ca, certificate, key, minVersion } = settings;
  const cached = ca && contexts.get(ca);
  if (
    cached?.certificate === certificate &&
    cached?.key === key &&
    cached?.minVersion === minVersion
  ) {
    return cached.context;
  }
  const context = createSecureContext({
    minVersion,
    ...(ca && { ca }),
    ...(certificate && { cert: certificate }),
    ...(key && { key }),
  });
  if (ca) contexts.set(ca, { ...settings, context });
  return context;
}

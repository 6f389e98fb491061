import { closeSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { oneLine } from '@sallyport/plugin-options';
import { durationText, type Settle, withDeadline } from '../deadlines.ts';
import { errorsOf, type MakeError } from './server-error.ts';
import type { ConnectOptions } from './types.ts';

/** Opens TCP. Of a name's addresses each gets a third of the step's time, so that the second is reached in time. */
export function connectTcp(options: ConnectOptions): Promise<Socket> {
  const { server, stepTimeout } = options;
  const makeError = errorsOf(server, 'connect');
  const socket = connect({
    host: server.host,
    port: server.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: Math.max(10, Math.floor(stepTimeout / 3)),
  });
  ignoreErrors(socket);
  const problem = `no connection within ${durationText(stepTimeout)}; is the port open through every firewall on the way?`;
  return runStep<Socket>(
    socket,
    options,
    () => makeError('timeout', problem),
    ({ resolve, reject }) => {
      const onConnect = () => resolve(socket);
      const onError = (error: NodeJS.ErrnoException) => reject(explain(error, makeError));
      const onClose = () => reject(makeError('closed', 'the connection was closed'));
      socket.on('connect', onConnect).on('error', onError).on('close', onClose);
      return () => socket.off('connect', onConnect).off('error', onError).off('close', onClose);
    },
  );
}

/** Runs one step of making a connection. Unless it succeeds, the socket is destroyed. @throws as `withDeadline` */
export async function runStep<T>(
  socket: Socket,
  { stepTimeout: timeout, signal }: Pick<ConnectOptions, 'stepTimeout' | 'signal'>,
  late: () => Error,
  start: (settle: Settle<T>) => () => void,
): Promise<T> {
  try {
    return await withDeadline({ signal, timeout, late }, start);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** An error event without a listener would end the process. Those who use the socket have listeners of their own. */
export function ignoreErrors(socket: Socket): void {
  socket.on('error', () => {});
}

const problems: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: nothing listens on this port',
  ENOTFOUND: 'there is no such host name',
  EAI_AGAIN: 'the host name could not be looked up: DNS did not answer',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no connection: the host did not answer',
};

function explain(error: NodeJS.ErrnoException, makeError: MakeError): Error {
  const shortage = shortageOf(error);
  if (shortage !== undefined) return makeError('shortage', shortage, error);
  const problem = problems[error.code ?? ''];
  // With several addresses the message of the whole is empty; each address has its own.
  const details = error instanceof AggregateError ? error.errors.map(String).join('; ') : error.message;
  return makeError('unreachable', problem ? `${problem} (${oneLine(details)})` : oneLine(details), error);
}

const shortages: Readonly<Record<string, string>> = {
  EMFILE: 'file descriptors: raise the limit of open files (ulimit -n, LimitNOFILE)',
  ENFILE: 'file descriptors of the whole system: raise fs.file-max',
  EBUSY: 'what a name lookup needs, usually file descriptors: raise the limit of open files (ulimit -n, LimitNOFILE)',
  EADDRNOTAVAIL: 'local ports: widen net.ipv4.ip_local_port_range',
  EAGAIN: 'local ports: widen net.ipv4.ip_local_port_range',
  ENOBUFS: 'network buffers: give it more memory',
  ENOMEM: 'memory: give it more',
  EAI_MEMORY: 'memory: give it more',
};

/** What this machine lacked when a connection or a lookup failed, and the fix; undefined for any other cause. */
export function shortageOf(error: unknown): string | undefined {
  const all: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  for (const one of all) {
    const { code = '', syscall } = (one ?? {}) as NodeJS.ErrnoException;
    const known = shortages[code] === undefined && isNameLookup(syscall) ? codeOfOpening() : code;
    if (shortages[known] !== undefined) return `this machine is short of ${shortages[known]} (${known})`;
  }
  return undefined;
}

/** A lookup that can't open a file or a socket reports only that there is no such name, or that DNS refused. */
function isNameLookup(syscall: string | undefined): boolean {
  return syscall === 'getaddrinfo' || syscall?.startsWith('query') === true;
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

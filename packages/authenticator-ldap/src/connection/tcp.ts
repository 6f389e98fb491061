import { connect, type Socket } from 'node:net';
import { oneLine } from '@sallyport/plugin-options';
import { shortageOf } from './shortage.ts';
import { type Fault, faultsOf, ignoreErrors, runStep, seconds } from './step.ts';
import type { ConnectOptions } from './types.ts';

/** Opens TCP. Of a name's addresses each gets a third of the step's time, so that the second is reached in time. */
export function connectTcp({ server, stepTimeout, signal }: ConnectOptions): Promise<Socket> {
  const fault = faultsOf(server, 'connect');
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
  const onTimeout = () =>
    fault(
      'timeout',
      `no connection within ${seconds(stepTimeout)}; is the port open through every firewall on the way?`,
    );
  return runStep<Socket>({ socket, signal, timeout: stepTimeout, onTimeout }, (end) => {
    const onConnect = () => end.succeed(socket);
    const onError = (error: NodeJS.ErrnoException) => end.fail(explain(error, fault));
    const onClose = () => end.fail(fault('closed', 'the connection was closed'));
    socket.on('connect', onConnect).on('error', onError).on('close', onClose);
    return () => socket.off('connect', onConnect).off('error', onError).off('close', onClose);
  });
}

const problems: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: nothing listens on this port',
  ENOTFOUND: 'there is no such host name',
  EAI_AGAIN: 'the host name could not be looked up: DNS did not answer',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no connection: the host did not answer',
};

function explain(error: NodeJS.ErrnoException, fault: Fault): Error {
  const short = shortageOf(error);
  if (short !== undefined) return fault('shortage', short, error);
  const problem = problems[error.code ?? ''];
  // With several addresses the message of the whole is empty; each address has its own.
  const details = error instanceof AggregateError ? error.errors.map(String).join('; ') : error.message;
  return fault('unreachable', problem ? `${problem} (${oneLine(details)})` : oneLine(details), error);
}

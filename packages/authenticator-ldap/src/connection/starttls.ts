import type { Socket } from 'node:net';
import { oneLine } from '@sallyport/plugin-options';
import { encodeStartTls, startTlsName } from './codec.ts';
import { createFramer } from './frames.ts';
import { decodeMessage, type Message } from './message.ts';
import { type Fault, faultsOf, runStep, seconds } from './step.ts';
import type { ConnectOptions } from './types.ts';
import { WireError } from './wire-error.ts';

const messageId = 1;

/** The answer is one LDAPResult, and who it comes from is not known yet. */
const maxElements = 100;
const maxBytes = 65_536;

/**
 * Asks for TLS and waits for the yes (RFC 4511 section 4.14). Afterwards nothing was read from the socket that is not
 * part of the yes: what somebody on the way puts behind it, in clear text, must never count as the server's word.
 */
export function requestTls(socket: Socket, { server, stepTimeout, signal }: ConnectOptions): Promise<void> {
  const fault = faultsOf(server, 'starttls');
  const onTimeout = () => fault('timeout', `no answer within ${seconds(stepTimeout)}`);
  return runStep<void>({ socket, signal, timeout: stepTimeout, onTimeout }, (end) => {
    const framer = createFramer(maxBytes);
    const onData = (chunk: Buffer) => {
      try {
        const [answer, ...more] = framer.push(chunk);
        if (answer) {
          socket.pause();
          checkAnswer(decodeMessage(answer, { elements: maxElements }), fault);
        }
        if (answer && (more.length > 0 || framer.pending > 0 || socket.readableLength > 0)) {
          throw fault('protocol', 'there were bytes behind the answer: somebody on the way may be tampering');
        }
        if (answer) {
          end.succeed();
        }
      } catch (error) {
        end.fail(error instanceof WireError ? fault(error.kind, `this is no LDAP: ${error.message}`, error) : error);
      }
    };
    const onClose = () => end.fail(fault('closed', 'the connection was closed before the answer'));
    socket.on('data', onData).on('end', onClose).on('close', onClose);
    socket.write(encodeStartTls(messageId));
    return () => socket.off('data', onData).off('end', onClose).off('close', onClose);
  });
}

function checkAnswer(answer: Message, fault: Fault): void {
  if (answer.kind !== 'extended' || answer.id !== messageId || (answer.name ?? startTlsName) !== startTlsName) {
    throw fault('protocol', 'the server sent something else than the answer');
  }
  if (answer.code !== 0) {
    const text = answer.diagnosticMessage === '' ? '' : `: ${oneLine(answer.diagnosticMessage)}`;
    throw fault(
      'answer',
      `refused with result code ${answer.code}${text}; has the server a certificate? ldaps:// is the other way`,
    );
  }
}

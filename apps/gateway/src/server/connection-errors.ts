import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type StatusCode, toStatus } from './status.ts';

/**
 * Answers what Node could not read as an HTTP/1.1 request, with a `Status` like everything else, and closes.
 *
 * @param error carries the raw bytes: of it only the code is used
 */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [code, message] = refusal(error.code);
  const body = JSON.stringify(toStatus(code, message));
  socket.write(
    `HTTP/1.1 ${code} ${STATUS_CODES[code]}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  socket.destroySoon();
}

function refusal(code: string | undefined): [StatusCode, string] {
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'the request headers are too large'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'the request did not arrive in time'];
  return [400, 'not a valid HTTP request'];
}

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '@sallyport/authenticator';
import { createLimitedLog } from '../base/logging/log-limiter.ts';
import { answerUnreadable, plainHttp, type UnreadableBody } from './answer-errors.ts';

interface HandshakeReportOptions {
  readonly logger: Logger;
  /** The key of the address in the config. */
  readonly setting: string;
  readonly unreadableBody?: UnreadableBody | undefined;
}

/**
 * Makes a listener of `tlsClientError`, which logs failed TLS handshakes: as a warning if the client's certificate is why, since
 * the client is told nothing of use, or if the client speaks plain HTTP. Only that client gets an answer that it can read.
 */
export function createHandshakeReport({ logger, setting, unreadableBody }: HandshakeReportOptions) {
  const warn = createLimitedLog(logger, () => performance.now(), 'warn');
  return (error: NodeJS.ErrnoException, socket: TLSSocket): void => {
    const { code } = error;
    // Where Node itself has refused the certificate, only the TCP socket below still knows the address.
    const tcpSocket = (socket as { _parent?: Socket })._parent ?? socket;
    const peer = tcpSocket.remoteAddress;
    if (code === plainHttp) {
      warn(code, { peer, setting }, 'client speaks plain HTTP to a TLS port: use https:// there');
      answerUnreadable(error, tcpSocket, unreadableBody);
      return;
    }
    const reason = code === missingCertificate ? code : socket.authorizationError;
    if (!reason) logger.debug({ peer, code }, 'TLS handshake failed');
    else warn(String(reason), { peer, reason }, 'client certificate not accepted');
  };
}

const missingCertificate = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';

import type { Server, Socket } from 'node:net';
import { plainHttp } from './answer-errors.ts';
import { afterUnlessClosed } from './connections.ts';
import { createFairTurns } from './fair-turns.ts';
import { createFairLimit, nameNetwork } from './socket-limit.ts';

/** Limits of the TLS handshakes in progress. */
export interface HandshakeLimits {
  /** Maximum number of handshakes of one address. */
  readonly perAddress: number;
  /** Milliseconds after which a handshake does not count for its address. */
  readonly addressTime: number;
  /** Maximum number of handshakes. A further one ends the oldest of the address that has the most. */
  readonly inProgress: number;
}

/**
 * Begins at most one TLS handshake in a turn of the event loop, addresses in turn, and few of one address at a time:
 * the handshakes of 500 connections, a millisecond each, would make all other clients of the process wait. None begins
 * before its whole ClientHello is there: many could be sent late, to arrive in one moment.
 *
 * @param server over TLS, to which no one else has added a listener of `connection` yet
 * @param timeout milliseconds, until a handshake has begun
 * @returns a function to be called with a socket whose handshake has ended
 */
export function spreadHandshakes(
  server: Server,
  timeout: number,
  limits: HandshakeLimits,
): (socket: Socket) => void {
  const begin = server.listeners('connection') as readonly ((
    this: Server,
    socket: Socket,
  ) => void)[];
  server.removeAllListeners('connection');
  const turn = createFairTurns({
    waiting: Number.POSITIVE_INFINITY,
    inProgress: limits.perAddress,
  });
  const inProgress = createFairLimit<Socket>(
    () => limits.inProgress,
    (socket) => socket.destroy(),
  );
  const ends = new WeakMap<Socket, () => void>();
  server.on('connection', (socket: Socket) => {
    const network = nameNetwork(socket.remoteAddress ?? '');
    const timer = setTimeout(() => socket.destroy(), timeout).unref();
    socket.once('close', () => clearTimeout(timer));
    // A client may leave before its handshake has begun. From then on, TLS reports its errors.
    socket.on('error', () => socket.destroy());
    const refuse = ({ problem, code = 'NO_CLIENT_HELLO' }: HelloProblem) => {
      server.emit('tlsClientError', Object.assign(new Error(problem), { code }), socket);
      // The listener may have written an answer.
      socket.destroySoon();
    };
    awaitClientHello(socket, refuse, () => {
      const leave = turn(network, (end) => {
        clearTimeout(timer);
        ends.set(socket, () => {
          end();
          inProgress.delete(socket);
        });
        socket.once('close', () => ends.get(socket)?.());
        afterUnlessClosed(socket, limits.addressTime, end);
        if (socket.destroyed) return;
        inProgress.add(socket, network);
        for (const listener of begin) listener.call(server, socket);
      });
      if (leave) socket.once('close', leave);
    });
  });
  return (socket) => ends.get(socket)?.();
}

/** Calls `act` when the whole ClientHello has arrived. TLS takes it from the socket when it begins. */
function awaitClientHello(
  socket: Socket,
  refuse: (problem: HelloProblem) => void,
  act: () => void,
): void {
  let arrived: Buffer = Buffer.alloc(0);
  const look = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    arrived = Buffer.concat([arrived, chunk]);
    const problem = findProblem(arrived);
    if (problem === undefined && arrived.length < recordLength(arrived)) return;
    socket.off('readable', look);
    if (problem !== undefined) refuse(problem);
    else {
      socket.unshift(arrived);
      act();
    }
  };
  socket.on('readable', look);
}

/** Bytes of the header of a record, and of a message in it: RFC 8446, sections 5.1 and 4. */
const [recordHeader, messageHeader] = [5, 4];
const [handshakeRecord, clientHello] = [22, 1];
const maxRecord = 2 ** 14;

/** Returns the bytes of the first record, or the least that it can have while its header is incomplete. */
function recordLength(bytes: Buffer): number {
  return recordHeader + (bytes.length < recordHeader ? messageHeader : bytes.readUInt16BE(3));
}

/** Why bytes are not a ClientHello. */
interface HelloProblem {
  readonly problem: string;
  readonly code?: string;
}

/**
 * Says why these are not the first bytes of a ClientHello in one record. Real ones have up to some 2 KiB. TLS would
 * allow a longer one, in several records, and reserve the length that it claims.
 */
function findProblem(bytes: Buffer): HelloProblem | undefined {
  if (bytes[0] !== handshakeRecord) {
    const isHttp = /^[A-Z]{3,7} /.test(bytes.toString('latin1', 0, 8));
    return { problem: 'this is not TLS', ...(isHttp && { code: plainHttp }) };
  }
  if (bytes.length < recordHeader + messageHeader) return undefined;
  const inRecord = bytes.readUInt16BE(3) - messageHeader;
  if (inRecord < 0 || inRecord > maxRecord - messageHeader)
    return { problem: 'the first TLS record has an impossible length' };
  if (bytes[recordHeader] !== clientHello)
    return { problem: 'the first TLS record is not a ClientHello' };
  return bytes.readUIntBE(recordHeader + 1, 3) > inRecord
    ? { problem: 'the ClientHello is longer than its TLS record' }
    : undefined;
}

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

const endOfHead = '\r\n\r\n';

/** In bytes. Node's parser answers a longer head with 431. */
const maxHead = 16 * 1024;

/**
 * Makes a connection for an HTTP server with one request on it: passes the head of the first, and drops what comes after
 * it. Node reads 64 KiB of a socket at a time, some 1,700 requests, and holds all of them and their answers until the
 * first answer is sent.
 */
export function oneRequest(socket: Socket): Duplex {
  let head = Buffer.alloc(0);
  let isPassed = false;
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk, _encoding, done) => void socket.write(chunk, done),
    final(done) {
      socket.destroySoon();
      done();
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    if (isPassed) return;
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(endOfHead);
    if (end === -1 && head.length <= maxHead) return;
    isPassed = true;
    stream.push(end === -1 ? head : head.subarray(0, end + endOfHead.length));
  });
  // A client that closes after its request, as `nc -N` does, still gets the answer.
  socket.on('end', () => void (isPassed || socket.destroy()));
  socket.on('error', () => undefined);
  socket.on('close', () => stream.destroy());
  // `answerUnreadable` writes to the socket directly, and needs this method of a socket.
  return Object.assign(stream, { destroySoon: () => stream.end() });
}

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

const endOfHead = '\r\n\r\n';

/** Of a head, in bytes: Node's parser answers a longer one 431. */
const maxHead = 16 * 1024;

/**
 * A connection for an HTTP server, with one request on it: the head of the first is passed on, and whatever comes after
 * it is thrown away. Of a socket Node reads 64 KiB at a time, some 1,700 requests, and keeps all of them and their
 * answers until the first of these is out.
 */
export function oneRequest(socket: Socket): Duplex {
  let head = Buffer.alloc(0);
  let passed = false;
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
    if (passed) return;
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(endOfHead);
    if (end === -1 && head.length <= maxHead) return;
    passed = true;
    stream.push(end === -1 ? head : head.subarray(0, end + endOfHead.length));
  });
  // Whoever closes after the request, as `nc -N` does, still gets the answer.
  socket.on('end', () => void (passed || socket.destroy()));
  socket.on('error', () => undefined);
  socket.on('close', () => stream.destroy());
  // As a socket has it, for those who write what is no answer of the server.
  return Object.assign(stream, { destroySoon: () => stream.end() });
}

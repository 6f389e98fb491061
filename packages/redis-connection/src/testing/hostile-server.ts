import { startTcpServer, type TcpServer } from '@sallyport/test-servers/tcp-server';

/**
 * A server that answers with any bytes.
 *
 * @param answer the answer to commands
 * @param hello the answer to HELLO, with which a connection begins
 */
export async function startHostileServer(
  answer: (request: string, port: number) => string,
  hello = '%1\r\n$5\r\nproto\r\n:3\r\n',
): Promise<TcpServer> {
  const server = await startTcpServer((socket) => {
    socket.on('data', (piece) => {
      const request = piece.toString('latin1');
      socket.write(/\r\nhello\r\n/.test(request) ? hello : answer(request, server.port), 'latin1');
    });
  });
  return server;
}

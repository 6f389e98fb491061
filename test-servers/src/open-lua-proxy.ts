import { connectBehind, startTcpServer, type TcpServer } from './tcp-server.ts';

/**
 * Makes a fixed Redis look like one whose Lua has known holes. No package of it is left: so the script that finds out gets the
 * other result.
 *
 * @param target a port of 127.0.0.1
 */
export function startOpenLuaProxy(target: number): Promise<TcpServer> {
  return startTcpServer((client) => {
    const server = connectBehind(client, target);
    server.pipe(client);
    client.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      const isScript = text.includes("getmetatable('')");
      server.write(isScript ? text.replace('return 0', 'return 1') : chunk, 'latin1');
    });
  });
}

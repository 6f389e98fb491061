/** The network in front of the directory of a soak. It has a certificate of the directory, so it sees the binds, and can lose answers. */
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Slapd } from '@sallyport/test-servers/slapd';
import { startTcpServer } from '@sallyport/test-servers/tcp-server';
import { createMessageReader, type LdapMessage } from './ldap-requests.ts';
import type { Way } from './stores.ts';

/** A bind that was forwarded. */
interface SentBind {
  readonly dn: string;
  readonly password: string;
  readonly sentAt: number;
  /** When its answer or the end of its connection was sent on. */
  endedAt?: number;
  /** The result code. It is undefined without an answer, or if that was lost. */
  code?: number;
}

export interface DirectoryWay extends Way {
  /** Called for each bind, right before it is forwarded. */
  onBind: (bind: SentBind) => void;
  /** Called when it has an answer, or will get none. */
  onBindEnd: (bind: SentBind) => void;
  /** Whether the connection of a bind ends in place of its answer. */
  losesAnswer: (dn: string) => boolean;
}

export async function openDirectoryWay({ authority, port }: Slapd): Promise<DirectoryWay> {
  const { certificateFile, keyFile } = await authority.sharedServer();
  const context = createSecureContext({
    cert: await readFile(certificateFile),
    key: await readFile(keyFile),
  });
  const pairs = new Set<Socket>();
  let state: Way['state'] = 'open';
  const way: DirectoryWay = {
    onBind: () => {},
    onBindEnd: () => {},
    losesAnswer: () => false,
    get port() {
      return server.port;
    },
    get state() {
      return state;
    },
    set state(next) {
      // A piece is lost in `hang`: nothing that follows it would make sense.
      const isEnd = next === 'kill' || state === 'hang';
      state = next;
      if (isEnd) for (const socket of pairs) socket.destroy();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
  const server = await startTcpServer((client) => {
    if (state === 'kill') return void client.destroy();
    const behind = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const [socket, peer] of [[client, behind] as const, [behind, client] as const]) {
      pairs.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        pairs.delete(socket);
        peer.destroy();
      });
    }
    // Without a directory, there is no handshake.
    behind.once('connect', () => joinSockets(client, behind, context, way));
  });
  return way;
}

function joinSockets(
  client: Socket,
  behind: Socket,
  secureContext: SecureContext,
  way: DirectoryWay,
): void {
  const secure = new TLSSocket(client, { isServer: true, secureContext });
  secure.on('error', () => client.destroy());
  const open = new Map<number, SentBind>();
  const finish = (id: number, bind: SentBind, code?: number) => {
    open.delete(id);
    Object.assign(bind, { endedAt: performance.now(), ...(code !== undefined && { code }) });
    way.onBindEnd(bind);
  };
  client.once('close', () => {
    for (const [id, bind] of open) finish(id, bind);
  });
  const toServer = ({ bytes, bind }: LdapMessage) => {
    if (bind?.kind === 'request' && bind.dn !== '') {
      const { id, dn, password } = bind;
      const sent: SentBind = { dn, password, sentAt: performance.now() };
      open.set(id, sent);
      way.onBind(sent);
    }
    behind.write(bytes);
  };
  const toClient = ({ bytes, bind }: LdapMessage) => {
    const sent = bind?.kind === 'response' ? open.get(bind.id) : undefined;
    if (sent !== undefined && way.losesAnswer(sent.dn)) return void client.destroy();
    if (bind?.kind === 'response' && sent !== undefined) finish(bind.id, sent, bind.code);
    secure.write(bytes);
  };
  forward(secure, way, toServer);
  forward(behind, way, toClient);
}

function forward(
  from: Socket,
  way: Pick<Way, 'state'>,
  pass: (message: LdapMessage) => void,
): void {
  const read = createMessageReader();
  let last = Promise.resolve();
  from.on('data', (chunk: Buffer) => {
    const { state } = way;
    // Late answers of a server that hung are for connections that have been given up by then.
    if (state === 'hang') return;
    const messages = read(chunk);
    if (typeof state === 'number')
      last = last.then(() => new Promise((resolve) => setTimeout(resolve, state)));
    last = last.then(() => messages.forEach(pass));
  });
}

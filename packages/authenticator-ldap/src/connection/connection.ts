import type { Socket } from 'node:net';
import { encodeBind, encodeSearch } from './codec.ts';
import type { Message } from './message.ts';
import { createOperations, type Operations } from './operations.ts';
import { WireError } from './server-error.ts';
import { connectTcp, connectTls, requestTls } from './socket.ts';
import type {
  BindResult,
  Connect,
  ConnectOptions,
  LdapConnection,
  LdapEntry,
  SearchResult,
} from './types.ts';

export const connectLdap: Connect = async (options) => {
  const { server, stepTimeout } = options;
  return createLdapConnection(
    createOperations(await openTransport(options), { server, timeout: stepTimeout }),
  );
};

/**
 * Opens the socket for LDAP. It is in clear text only if the server is `insecure`. Every other way
 * ends in a checked TLS socket, or in a throw with no socket left.
 */
async function openTransport(options: ConnectOptions): Promise<Socket> {
  const { security } = options.server;
  const socket = await connectTcp(options);
  if (security === 'insecure') return socket;
  if (security === 'starttls') await requestTls(socket, options);
  return await connectTls(socket, options);
}

function createLdapConnection(operations: Operations): LdapConnection {
  return {
    async bind({ dn, password }, signal, timeout) {
      // An empty password would be an unauthenticated bind, which servers answer with success (RFC 4513 section 5.1.2).
      if (typeof dn !== 'string' || dn === '' || typeof password !== 'string' || password === '') {
        throw new Error('a bind needs a DN and a password');
      }
      const encode = (id: number) => encodeBind(id, { dn, password });
      const operation = {
        step: 'bind',
        encode,
        accept: acceptBind,
        isSecret: true,
        timeout,
      } as const;
      // The result is not awaited, so that nothing holds the password until the answer comes.
      return operations.run<BindResult>(operation, signal);
    },
    async search(request, signal) {
      const encode = (id: number) => encodeSearch(id, request);
      const { maxBytes } = request;
      return await operations.run<SearchResult>(
        { step: 'search', encode, accept: acceptSearch(), maxBytes },
        signal,
      );
    },
    get isOpen() {
      return operations.isOpen;
    },
    onClose: (listener) => operations.onClose(listener),
    close: () => operations.close(),
  };
}

function acceptBind(message: Message): BindResult {
  if (message.kind !== 'bind') {
    throw new WireError(
      'protocol',
      'the bind was answered with something else than a bind response',
    );
  }
  const { kind, id, ...result } = message;
  return result;
}

function acceptSearch(): (message: Message) => SearchResult | undefined {
  const entries: LdapEntry[] = [];
  const references: string[] = [];
  return (message) => {
    if (message.kind === 'done') {
      const { code, diagnosticMessage } = message;
      return { code, diagnosticMessage, entries, references };
    }
    if (message.kind === 'entry') entries.push(message.entry);
    else if (message.kind === 'reference') references.push(...message.urls);
    else {
      throw new WireError(
        'protocol',
        'the search was answered with something else than entries and a result',
      );
    }
    return undefined;
  };
}

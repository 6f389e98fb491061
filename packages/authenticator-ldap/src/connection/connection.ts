import { encodeBind, encodeSearch } from './codec.ts';
import { checkCodec } from './codec-check.ts';
import { Exchange } from './exchange.ts';
import type { Message } from './message.ts';
import { openTransport } from './transport.ts';
import type { BindResult, Connect, Connection, Entry, SearchResult } from './types.ts';
import { WireError } from './wire-error.ts';

checkCodec();

/** Opens one connection; see the types for what it promises. */
export const connect: Connect = async (options) => {
  const { server, stepTimeout } = options;
  return createConnection(new Exchange(await openTransport(options), { server, timeout: stepTimeout }));
};

function createConnection(exchange: Exchange): Connection {
  return {
    async bind({ dn, password }, signal, timeout) {
      // An empty password would be an unauthenticated bind, which servers answer with success (RFC 4513 section 5.1.2).
      if (typeof dn !== 'string' || dn === '' || typeof password !== 'string' || password === '') {
        throw new Error('a bind needs a DN and a password');
      }
      const encode = (id: number) => encodeBind(id, { dn, password });
      const request = {
        step: 'bind',
        encode,
        accept: acceptBind,
        isSecret: true,
        ...(timeout && { timeout }),
      } as const;
      // Not awaited, so that nothing holds the password while the answer is waited for.
      return exchange.run<BindResult>(request, signal);
    },
    async search(request, signal) {
      const encode = (id: number) => encodeSearch(id, request);
      const { maxBytes } = request;
      const bound = maxBytes === undefined ? {} : { maxBytes };
      return await exchange.run<SearchResult>({ step: 'search', encode, accept: acceptSearch(), ...bound }, signal);
    },
    get isOpen() {
      return exchange.isOpen;
    },
    onClose: (listener) => exchange.onClose(listener),
    close: () => exchange.close(),
  };
}

function acceptBind(message: Message): BindResult {
  if (message.kind !== 'bind') {
    throw new WireError('protocol', 'the bind was answered with something else than a bind response');
  }
  const { kind, id, ...result } = message;
  return result;
}

/** Takes entries until the result comes, which ends the search. */
function acceptSearch(): (message: Message) => SearchResult | undefined {
  const entries: Entry[] = [];
  return (message) => {
    switch (message.kind) {
      case 'entry':
        entries.push(message.entry);
        return undefined;
      case 'reference':
        return undefined;
      case 'done':
        return { code: message.code, diagnosticMessage: message.diagnosticMessage, entries };
      default:
        throw new WireError('protocol', 'the search was answered with something else than entries and a result');
    }
  };
}

import { once } from 'node:events';
import { connect } from 'node:tls';

/** The answer of a server to one operation (RFC 4511). */
interface LdapResult {
  /** The `resultCode`, which is 0 for success. */
  readonly code: number;
  /** The number of entries that a search returned before its end. */
  readonly entries: number;
}

/** A connection with one operation at a time, which reads no more of an answer than it must. */
export interface BareLdap {
  bind(dn: string, password: string): Promise<LdapResult>;
  /** A subtree search for entries with this value. */
  search(base: string, attribute: string, value: string): Promise<LdapResult>;
}

/** The tags of RFC 4511 for the end of an operation, and for an entry. */
const tags = { bindResponse: 0x61, searchEntry: 0x64, searchDone: 0x65 } as const;

export async function connectLdap(port: number, ca: string): Promise<BareLdap> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost' });
  await once(socket, 'secureConnect');
  let pending: { resolve(result: LdapResult): void; reject(error: Error): void } | undefined;
  let rest: Buffer = Buffer.alloc(0);
  let entries = 0;
  let id = 0;
  socket.on('error', (error) => pending?.reject(error));
  socket.on('close', () => pending?.reject(new Error('the directory closed the connection')));
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let message = element(rest); message !== undefined; message = element(rest)) {
      rest = rest.subarray(message.end);
      // The message ID comes first, then the operation.
      const operation = element(
        message.content,
        (element(message.content) as Element).end,
      ) as Element;
      if (operation.tag === tags.searchEntry) entries += 1;
      if (operation.tag === tags.bindResponse || operation.tag === tags.searchDone) {
        pending?.resolve({
          code: (element(operation.content) as Element).content[0] ?? -1,
          entries,
        });
      }
    }
  });

  const ask = (operation: Buffer): Promise<LdapResult> => {
    entries = 0;
    id = (id % 0x7f) + 1;
    return new Promise((resolve, reject) => {
      pending = { resolve, reject };
      socket.write(tlv(0x30, tlv(0x02, Buffer.of(id)), operation));
    });
  };
  return {
    bind: (dn, password) =>
      ask(tlv(0x60, tlv(0x02, Buffer.of(3)), tlv(0x04, dn), tlv(0x80, password))),
    search: (base, attribute, value) => {
      const [subtree, never, none, no] = [Buffer.of(2), Buffer.of(0), Buffer.of(0), Buffer.of(0)];
      const limits = [
        tlv(0x0a, subtree),
        tlv(0x0a, never),
        tlv(0x02, none),
        tlv(0x02, none),
        tlv(0x01, no),
      ];
      const filter = tlv(0xa3, tlv(0x04, attribute), tlv(0x04, value));
      return ask(
        tlv(0x63, tlv(0x04, base), ...limits, filter, tlv(0x30, tlv(0x04, 'uid'), tlv(0x04, 'cn'))),
      );
    },
  };
}

/** BER (X.690): a tag, a length and a content. */
interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** Where the next one begins. */
  readonly end: number;
}

/** Reads one element. @returns undefined if it has not arrived completely */
function element(bytes: Buffer, start = 0): Element | undefined {
  const [tag, first] = [bytes[start], bytes[start + 1]];
  if (tag === undefined || first === undefined) return undefined;
  const long = first < 0x80 ? 0 : first & 0x7f;
  const begin = start + 2 + long;
  if (bytes.length < begin) return undefined;
  const end = begin + (long === 0 ? first : bytes.readUIntBE(start + 2, long));
  return bytes.length < end ? undefined : { tag, content: bytes.subarray(begin, end), end };
}

function tlv(tag: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const content = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)),
  );
  const { length } = content;
  const head = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

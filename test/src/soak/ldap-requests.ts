/** Reads the binds of an LDAP connection: RFC 4511, sections 4.1.1 and 4.2. */

/** A simple bind, or the answer to one. */
type BindMessage =
  | {
      readonly kind: 'request';
      readonly id: number;
      readonly dn: string;
      readonly password: string;
    }
  | { readonly kind: 'response'; readonly id: number; readonly code: number };

/** A message as it was sent, and what it says if it is about a bind. */
export interface LdapMessage {
  readonly bytes: Buffer;
  readonly bind: BindMessage | undefined;
}

const tags = { bindRequest: 0x60, bindResponse: 0x61 } as const;

/** Cuts a stream into messages. The function returns those that are complete by now. */
export function createMessageReader(): (chunk: Buffer) => LdapMessage[] {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const messages: LdapMessage[] = [];
    for (let end = endOfElement(rest, 0); end !== undefined; end = endOfElement(rest, 0)) {
      const bytes = rest.subarray(0, end);
      rest = rest.subarray(end);
      messages.push({ bytes, bind: readBind(bytes) });
    }
    return messages;
  };
}

interface Element {
  readonly tag: number;
  readonly from: number;
  readonly to: number;
}

/** Reads the tag and the length of an element: X.690, section 8.1. @returns undefined if the header is not complete */
function elementAt(bytes: Buffer, at: number): Element | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  if (tag === undefined || first === undefined) return undefined;
  if (first < 0x80) return { tag, from: at + 2, to: at + 2 + first };
  const size = first - 0x80;
  if (bytes.length < at + 2 + size) return undefined;
  const from = at + 2 + size;
  return { tag, from, to: from + bytes.readUIntBE(at + 2, size) };
}

function endOfElement(bytes: Buffer, at: number): number | undefined {
  const element = elementAt(bytes, at);
  return element !== undefined && element.to <= bytes.length ? element.to : undefined;
}

function readBind(bytes: Buffer): BindMessage | undefined {
  const message = elementAt(bytes, 0);
  const id = message && elementAt(bytes, message.from);
  const operation = id && elementAt(bytes, id.to);
  if (id === undefined || operation === undefined) return undefined;
  const number = bytes.readUIntBE(id.from, id.to - id.from);
  const first = elementAt(bytes, operation.from);
  if (first === undefined) return undefined;
  if (operation.tag === tags.bindResponse)
    return { kind: 'response', id: number, code: bytes[first.from] ?? 0 };
  const name = elementAt(bytes, first.to);
  const secret = name && elementAt(bytes, name.to);
  if (operation.tag !== tags.bindRequest || name === undefined || secret === undefined)
    return undefined;
  const text = ({ from, to }: Element) => bytes.toString('utf8', from, to);
  return { kind: 'request', id: number, dn: text(name), password: text(secret) };
}

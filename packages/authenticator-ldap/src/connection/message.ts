import { isUtf8 } from 'node:buffer';
import { type Budget, type Element, passwordPolicyControl, readElements } from './codec.ts';
import { WireError } from './server-error.ts';
import type { BindResult, LdapEntry } from './types.ts';

/** An LDAPResult (RFC 4511 section 4.1.9) without matched DN and referral. */
type Result = Pick<BindResult, 'code' | 'diagnosticMessage'>;

export type Message =
  | ({ readonly kind: 'bind'; readonly id: number } & BindResult)
  | { readonly kind: 'entry'; readonly id: number; readonly entry: LdapEntry }
  | { readonly kind: 'reference'; readonly id: number; readonly urls: readonly string[] }
  | ({ readonly kind: 'done'; readonly id: number } & Result)
  | ({ readonly kind: 'extended'; readonly id: number; readonly name: string | undefined } & Result)
  | { readonly kind: 'other'; readonly id: number; readonly tag: number };

const tags = {
  boolean: 0x01,
  integer: 0x02,
  octetString: 0x04,
  enumerated: 0x0a,
  sequence: 0x30,
  set: 0x31,
  bindResponse: 0x61,
  searchResultEntry: 0x64,
  searchResultDone: 0x65,
  searchResultReference: 0x73,
  extendedResponse: 0x78,
  responseName: 0x8a,
  controls: 0xa0,
} as const;

/** Netscape's "password expired" control, which 389-DS sends. */
const passwordMustChangeControl = '2.16.840.1.113730.3.4.4';

/** Reads one message. @throws WireError when it is not as in RFC 4511 section 4.1.1, or too large for the budget */
export function decodeMessage(frame: Buffer, budget: Budget): Message {
  const [envelope] = readElements(frame, budget);
  const [messageId, operation, ...tail] = readElements(
    expect(envelope, tags.sequence, 'message'),
    budget,
  );
  const id = readInteger(messageId, tags.integer, 'message id');
  if (!operation) throw new WireError('protocol', 'a message has no operation');
  // Messages with the id 0 end the connection whatever they contain, and Active Directory adds to them.
  if (id !== 0 && (tail.length > 1 || (tail[0] && tail[0].tag !== tags.controls))) {
    throw new WireError('protocol', 'a message has more than one operation');
  }
  const { tag, content } = operation;
  switch (tag) {
    case tags.bindResponse:
      return {
        kind: 'bind',
        id,
        ...readResult(content, budget),
        ...readBindControls(tail[0]?.content, budget),
      };
    case tags.searchResultEntry:
      return { kind: 'entry', id, entry: readEntry(content, budget) };
    case tags.searchResultReference:
      return { kind: 'reference', id, urls: readUrls(content, budget) };
    case tags.searchResultDone:
      return { kind: 'done', id, ...readResult(content, budget) };
    case tags.extendedResponse:
      return {
        kind: 'extended',
        id,
        ...readResult(content, budget),
        name: readResponseName(content, budget),
      };
    default:
      return { kind: 'other', id, tag };
  }
}

function expect(element: Element | undefined, tag: number, field: string): Buffer {
  if (element?.tag !== tag)
    throw new WireError('protocol', `a ${field} is missing or of a wrong type`);
  return element.content;
}

/**
 * Reads an integer of at least one byte: without a byte it would be 0, which is the id of notices
 * and the code of success.
 */
function readInteger(element: Element | undefined, tag: number, field: string): number {
  const bytes = expect(element, tag, field);
  if (bytes.length < 1 || bytes.length > 4)
    throw new WireError('protocol', `a ${field} has ${bytes.length} bytes`);
  return bytes.readIntBE(0, bytes.length);
}

function readResult(content: Buffer, budget: Budget): Result {
  const [code, matchedDn, diagnosticMessage] = readElements(content, budget);
  expect(matchedDn, tags.octetString, 'matched DN');
  return {
    code: readInteger(code, tags.enumerated, 'result code'),
    diagnosticMessage: expect(diagnosticMessage, tags.octetString, 'diagnostic message').toString(),
  };
}

function readResponseName(content: Buffer, budget: Budget): string | undefined {
  const name = readElements(content, budget).find(({ tag }) => tag === tags.responseName);
  return name?.content.toString();
}

function readUrls(content: Buffer, budget: Budget): string[] {
  return readElements(content, budget).map((url) =>
    expect(url, tags.octetString, 'URL of a reference').toString(),
  );
}

function readEntry(content: Buffer, budget: Budget): LdapEntry {
  const [name, list] = readElements(content, budget);
  const dn = expect(name, tags.octetString, "entry's DN");
  const attributes = new Map<string, Buffer[]>();
  for (const attribute of readElements(expect(list, tags.sequence, 'list of attributes'), budget)) {
    const [type, set] = readElements(expect(attribute, tags.sequence, 'attribute'), budget);
    const key = expect(type, tags.octetString, "attribute's name").toString().toLowerCase();
    // An attribute may come in several parts, each with one value or more.
    for (const value of readElements(expect(set, tags.set, 'set of values'), budget)) {
      const values = attributes.get(key) ?? [];
      attributes.set(key, values);
      values.push(expect(value, tags.octetString, 'value'));
    }
  }
  return { dn: isUtf8(dn) ? dn.toString() : undefined, attributes };
}

function readBindControls(content: Buffer | undefined, budget: Budget) {
  const controls =
    content === undefined
      ? []
      : readElements(content, budget).map((control) => readControl(control, budget));
  const policies = controls.filter(({ oid }) => oid === passwordPolicyControl);
  const error =
    policies.length > 1
      ? 'unreadable'
      : policies[0] && readPasswordPolicy(policies[0].value, budget);
  return {
    passwordMustChange: controls.some(({ oid }) => oid === passwordMustChangeControl),
    ...(error === undefined ? {} : { passwordPolicyError: error }),
  };
}

/** Reads a control (RFC 4511 section 4.1.11), whose criticality and value may be missing. */
function readControl(element: Element, budget: Budget) {
  const [type, ...fields] = readElements(expect(element, tags.sequence, 'control'), budget);
  const value = fields[0]?.tag === tags.boolean ? fields[1] : fields[0];
  return {
    oid: expect(type, tags.octetString, "control's OID").toString(),
    value: value && expect(value, tags.octetString, "control's value"),
  };
}

/**
 * Reads a PasswordPolicyResponseValue: a sequence of a warning (0xa0, not used here) and an error
 * (0x81), both optional.
 */
function readPasswordPolicy(
  value: Buffer | undefined,
  budget: Budget,
): number | 'unreadable' | undefined {
  try {
    const [sequence, ...behind] = readElements(value ?? Buffer.alloc(0), budget);
    const fields = readElements(expect(sequence, tags.sequence, 'password policy'), budget);
    const error = fields[0]?.tag === 0xa0 ? fields[1] : fields[0];
    const maxFields = fields[0]?.tag === 0xa0 ? 2 : 1;
    if (behind.length > 0 || fields.length > maxFields) return 'unreadable';
    return error && readInteger(error, 0x81, 'password policy error');
  } catch (error) {
    if (error instanceof WireError && error.kind === 'protocol') return 'unreadable';
    throw error;
  }
}

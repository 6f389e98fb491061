const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Attributes of Active Directory that are bytes, in lower case, and how each is written. */
const binaryForms: Readonly<Record<string, (value: Buffer) => string | undefined>> = {
  objectguid: guidText,
  'ms-ds-consistencyguid': guidText,
  objectsid: sidText,
  sidhistory: sidText,
};

/**
 * The text of an attribute's value: GUIDs and SIDs of Active Directory in their usual form, all others as UTF-8.
 *
 * @param attribute its name in any case, options such as `;binary` allowed
 * @throws Error naming the attribute, when the value is no text. It quotes nothing of the value.
 */
export function attributeText(attribute: string, value: Buffer): string {
  const [name = ''] = attribute.toLowerCase().split(';');
  const form = Object.hasOwn(binaryForms, name) ? binaryForms[name] : undefined;
  const text = form === undefined ? plainText(value) : form(value);
  if (text !== undefined) return text;
  const what = form === undefined ? 'text' : form === guidText ? 'GUID of 16 bytes' : 'SID';
  throw new Error(`a value of the attribute ${attribute} is no ${what} (${value.length} bytes)`);
}

/** Control characters, line breaks and tabs aside, tell bytes that only happen to be UTF-8. */
function plainText(value: Buffer): string | undefined {
  try {
    const text = utf8.decode(value);
    return /(?![\t\n\r])\p{Cc}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** As Microsoft writes GUIDs: the first three groups have their bytes reversed (MS-DTYP section 2.3.4). */
function guidText(value: Buffer): string | undefined {
  if (value.length !== 16) return undefined;
  const reversed = (start: number, end: number) => Buffer.from(value.subarray(start, end)).reverse().toString('hex');
  const groups = [
    reversed(0, 4),
    reversed(4, 6),
    reversed(6, 8),
    value.toString('hex', 8, 10),
    value.toString('hex', 10),
  ];
  return groups.join('-');
}

/** `S-1-` with the authority and up to 15 sub-authorities (MS-DTYP sections 2.4.2.1 and 2.4.2.2). */
function sidText(value: Buffer): string | undefined {
  if (value.length < 8 || value[0] !== 1) return undefined;
  const count = value[1] ?? 0;
  if (count < 1 || count > 15 || value.length !== 8 + 4 * count) return undefined;
  const authority = value.readUIntBE(2, 6);
  const authorityText = authority < 2 ** 32 ? String(authority) : `0x${value.toString('hex', 2, 8).toUpperCase()}`;
  const subAuthorities = Array.from({ length: count }, (_, index) => value.readUInt32LE(8 + 4 * index));
  return ['S', 1, authorityText, ...subAuthorities].join('-');
}

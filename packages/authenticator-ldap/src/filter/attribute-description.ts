const keyString = '[A-Za-z][A-Za-z0-9-]*';
const numericOid = String.raw`(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))+`;

/** As a JSON Schema `pattern`: a name or OID, with options such as `;binary` (RFC 4512 section 2.5). */
export const attributeDescriptionPattern: string = `^(?:${keyString}|${numericOid})(?:;[A-Za-z0-9-]+)*$`;

const attributeDescription = new RegExp(attributeDescriptionPattern);
const objectIdentifier = new RegExp(`^(?:${keyString}|${numericOid})$`);

/**
 * Whether a text names an attribute, options such as `;binary` allowed (RFC 4512 section 2.5). `1.1` does not: servers
 * take it for "no attribute at all" (RFC 4511 section 4.5.1.8).
 */
export function isAttributeDescription(text: string): boolean {
  return text.length <= 255 && text !== '1.1' && attributeDescription.test(text);
}

/** Whether a text is a short name or a dotted OID, as attribute types and matching rules have (RFC 4512 section 1.4). */
export function isObjectIdentifier(text: string): boolean {
  return text.length <= 255 && objectIdentifier.test(text);
}

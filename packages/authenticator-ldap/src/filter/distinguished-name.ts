import { type Rdn, readDn } from './dn-reader.ts';

/**
 * Reads a DN in its string form (RFC 4514), also as Active Directory spells it (`\ `, `\#`) and as LDAPv2 did (RFC 2253
 * section 4: spaces around separators, `;`, `OID.` and values in quotes). No byte of a value is lost or changed.
 *
 * @returns from the entry up to the root, [] for ''; undefined when it is no DN
 */
export function parseDn(text: string): Rdn[] | undefined {
  return readDn(text)?.map(({ rdn }) => rdn);
}

/** The entry's own level. Undefined for the empty DN, and for what is no DN. */
export function firstRdn(dn: string): Rdn | undefined {
  return parseDn(dn)?.[0];
}

/**
 * Whether an entry is the base or lies below it. Names of attributes are compared without regard to case; values too,
 * and spaces at their ends and runs of spaces do not count, as `caseIgnoreMatch` has it (RFC 4518). What only some
 * directories take for the same (`é` as one character or two, wide letters, ligatures) is not: for 389-DS that is
 * another entry, which may be somebody else's. An OID is another attribute than the name that stands for it. What is no
 * DN is below nothing, and nothing is below it.
 */
export function isBelow(dn: string, base: string): boolean {
  const lower = parseDn(dn);
  const upper = parseDn(base);
  if (lower === undefined || upper === undefined || lower.length < upper.length) return false;
  const above = lower.slice(lower.length - upper.length);
  return upper.every((rdn, level) => comparable(rdn) === comparable(above[level] ?? []));
}

/** Equal for RDNs that are the same, in whatever order their parts come. */
function comparable(rdn: Rdn): string {
  return JSON.stringify(
    rdn.map((part) => [part.attribute.toLowerCase(), comparableValue(part.value)].join('=')).sort(),
  );
}

function comparableValue(value: Buffer): string {
  const text = value.toString('utf8');
  if (!Buffer.from(text).equals(value)) return `not UTF-8: ${value.toString('hex')}`;
  return `text: ${lowerCase(text).replace(/ +/g, ' ').replace(/^ | $/g, '')}`;
}

/** Of letters that come back the same: the Kelvin sign is no `K`. */
function lowerCase(text: string): string {
  return text.replace(/\p{Lu}/gu, (letter) => {
    const lower = letter.toLowerCase();
    return lower.toUpperCase() === letter ? lower : letter;
  });
}

/** The values of an attribute, as text or bytes. */
type Values = string | Buffer | readonly (string | Buffer)[];

export interface LdifEntry {
  /** The DN in the syntax of RFC 4514. */
  readonly dn: string;
  readonly attributes: Readonly<Record<string, Values>>;
}

/** LDIF content records (RFC 2849), with every value in base64, so that none needs escapes. */
export function toLdif(entries: readonly LdifEntry[]): string {
  return entries
    .map(({ dn, attributes }) => [line('dn', dn), ...lines(attributes)].join('\n'))
    .join('\n\n');
}

/** LDIF change records that replace attributes of the same names by `attributes`. */
export function toReplacements(entries: readonly LdifEntry[]): string {
  const replacements = (attributes: LdifEntry['attributes']) =>
    Object.entries(attributes).flatMap(([name, values]) => [
      `replace: ${name}`,
      ...lines({ [name]: values }),
      '-',
    ]);
  return entries
    .map(({ dn, attributes }) =>
      [line('dn', dn), 'changetype: modify', ...replacements(attributes)].join('\n'),
    )
    .join('\n\n');
}

function lines(attributes: LdifEntry['attributes']): string[] {
  return Object.entries(attributes).flatMap(([name, values]) => {
    const list = typeof values === 'string' || Buffer.isBuffer(values) ? [values] : values;
    return list.map((value) => line(name, value));
  });
}

function line(name: string, value: string | Buffer): string {
  return `${name}:: ${Buffer.from(value).toString('base64')}`;
}

/** An attribute's values: text as it is, bytes as they are. */
type Values = string | Buffer | readonly (string | Buffer)[];

export interface LdifEntry {
  /** As RFC 4514 writes it. */
  readonly dn: string;
  readonly attributes: Readonly<Record<string, Values>>;
}

/** LDIF content records (RFC 2849), every value in base64, so that none needs thought. */
export function toLdif(entries: readonly LdifEntry[]): string {
  return entries.map(({ dn, attributes }) => [line('dn', dn), ...lines(attributes)].join('\n')).join('\n\n');
}

/** LDIF change records that put `attributes` in the place of those of the same names. */
export function toReplacements(entries: readonly LdifEntry[]): string {
  return entries.map(replacement).join('\n\n');
}

function replacement({ dn, attributes }: LdifEntry): string {
  const changes = Object.entries(attributes).flatMap(([name, values]) => [
    `replace: ${name}`,
    ...lines({ [name]: values }),
    '-',
  ]);
  return [line('dn', dn), 'changetype: modify', ...changes].join('\n');
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

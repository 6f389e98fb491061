import type { Logger } from '@sallyport/authenticator';
import { entryRequest } from './connection/entry-request.ts';
import type { Search } from './connection/types.ts';
import type { Filter } from './filter/filter.ts';
import type { LdapOptions, UserOptions } from './options/types.ts';

/**
 * Creates a check that warns of attributes of the options that are not in the schema of the
 * directory: a filter with one finds nothing, which is no error to a directory. It reads the schema
 * once, since that of Active Directory has hundreds of kilobytes, and does not warn if the schema
 * can't be read.
 */
export function createSchemaCheck(
  options: LdapOptions,
  logger: Pick<Logger, 'warn'>,
): (search: Search) => Promise<void> {
  let hasLooked = false;
  return async (search) => {
    if (hasLooked) return;
    hasLooked = true;
    const schema = await readSchema(search, options.user.find).catch(() => undefined);
    if (schema === undefined) return;
    for (const [option, attributes] of namedAttributes(options)) {
      for (const attribute of new Set(attributes)) {
        if (!isKnown(attribute, schema)) logger.warn({ option, attribute }, notInSchema);
      }
    }
  };
}

const notInSchema =
  'an attribute of the options is not in the schema of the directory, so no entry has it: correct its name';

/**
 * Reads the names of attributes in lower case (RFC 4512 section 4.2.2).
 *
 * @returns undefined if some or all are not shown
 */
async function readSchema(
  search: Search,
  find: UserOptions['find'],
): Promise<ReadonlySet<string> | undefined> {
  // Each entry names its subschema (RFC 4512 section 4.2). 389-DS names none for its root.
  const dns = [...(find.by === 'search' ? find.bases.slice(0, 1) : [find.template.parent]), ''];
  for (const dn of dns) {
    const [subschema] = await readValues(search, dn, 'subschemaSubentry');
    if (subschema === undefined) continue;
    const names = new Set(
      (await readValues(search, subschema, 'attributeTypes')).flatMap(readNames),
    );
    // Active Directory may send a part of many values, under another name. objectClass is in every schema.
    return names.has('objectclass') ? names : undefined;
  }
  return undefined;
}

async function readValues(
  search: Search,
  base: string,
  attribute: string,
): Promise<readonly string[]> {
  const { entries } = await search(entryRequest(base, [attribute]));
  return (entries[0]?.attributes.get(attribute.toLowerCase()) ?? []).map(String);
}

/** Reads the names from an attribute type, such as `( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )`. */
function readNames(attributeType: string): readonly string[] {
  const [, single, several = ''] = /\bNAME\s+(?:'([^']*)'|\(([^)]*)\))/.exec(attributeType) ?? [];
  const names =
    single === undefined
      ? [...several.matchAll(/'([^']*)'/g)].map(([, name = '']) => name)
      : [single];
  return names.map((name) => name.toLowerCase());
}

/**
 * Whether the schema has an attribute. An OID counts as known. An option follows a semicolon (RFC
 * 4512 section 2.5.2).
 */
function isKnown(attribute: string, schema: ReadonlySet<string>): boolean {
  const [name = ''] = attribute.toLowerCase().split(';');
  return /^\d/.test(name) || schema.has(name);
}

function namedAttributes({
  user,
  groups,
}: LdapOptions): readonly (readonly [string, readonly string[]])[] {
  const { username, uid, email, extra } = user.attributes;
  const attributes = [username, uid, email, ...Object.values(extra)].filter(
    (attribute) => attribute !== undefined,
  );
  const searching = groups?.by === 'search' ? groups : groups?.nested;
  const placeholders = [...(searching?.filter.placeholders ?? [])].flatMap((placeholder) =>
    placeholder.split('attribute:').slice(1),
  );
  return [
    ['user.filter', user.find.by === 'search' ? listAttributes(user.find.filter.anyValues) : []],
    [
      'user.lookUpFilter',
      user.find.by === 'search' && user.find.lookUpFilter !== undefined
        ? listAttributes(user.find.lookUpFilter.anyValues)
        : [],
    ],
    ['user.attributes', attributes],
    ['groups.attribute', groups?.by === 'attribute' ? [groups.attribute] : []],
    [
      'groups.filter',
      searching === undefined
        ? []
        : [...listAttributes(searching.filter.anyValues), ...placeholders],
    ],
    ['groups.name', (groups?.name.attributes ?? []).filter((attribute) => attribute !== 'dn')],
  ];
}

function listAttributes(filter: Filter): readonly string[] {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filter.filters.flatMap(listAttributes);
    case 'not':
      return listAttributes(filter.filter);
    default:
      return filter.attribute === undefined ? [] : [filter.attribute];
  }
}

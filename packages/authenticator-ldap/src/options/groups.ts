import { type Complain, choice, count, flag, section } from '@sallyport/plugin-kit';
import type { z } from 'zod';
import { type FilterTemplate, parseFilterTemplate } from '../filter/filter-template.ts';
import { type NameTemplate, parseNameTemplate } from '../filter/templates.ts';
import { attribute, bases, template } from './names.ts';

export type GroupOptions = {
  /**
   * The bases below which groups are searched. With `attribute` only groups below one of these
   * count, or all if it is empty.
   */
  readonly bases: readonly string[];
  /** The search for groups of groups below `bases`, level by level. Without it they do not count. */
  readonly nested?: { readonly filter: FilterTemplate; readonly scope: 'one' | 'sub' };
  readonly name: NameTemplate;
  readonly maxDepth: number;
  readonly maxGroups: number;
} & (
  | { readonly by: 'search'; readonly scope: 'one' | 'sub'; readonly filter: FilterTemplate }
  /** `attribute` is `memberOf`, or what the directory calls it. */
  | { readonly by: 'attribute'; readonly attribute: string }
);

const filterExample = '(&(objectClass=groupOfNames)(member={dn}))';
const baseExample = 'ou=groups,dc=example,dc=com';
const defaultMaxDepth = 10;

const shape = {
  base: bases(
    'The DN to search below for groups, or a list of them. With attribute: only groups below it count.',
    baseExample,
  ).optional(),
  scope: choice('sub: at any depth below the base. one: directly below it.', ['sub', 'one'])
    .optional()
    .meta({ default: 'sub' }),
  filter: template(
    "Finds groups (RFC 4515) by their member: {dn} is the user's DN, {username} the value of attributes.username, {attribute:NAME} any attribute of the user.",
    filterExample,
    (text) => parseFilterTemplate(text, allowedPlaceholder),
  ).optional(),
  attribute: attribute(
    "Instead of a search: the user's attribute with the DNs of groups, such as memberOf.",
    'memberOf',
  ).optional(),
  nested: flag(
    'Include groups of groups. The filter is searched again for each level, with {dn} as the DN of a group.',
  ),
  name: template(
    'The name of a group: an attribute, or a pattern such as team:{cn}. dn is the DN.',
    'cn',
    parseNameTemplate,
  ).prefault('cn'),
  maxDepth: count(
    "With nested: the number of levels, the user's own groups included. A login with more levels fails.",
    1,
    100,
  )
    .optional()
    .meta({ default: defaultMaxDepth }),
  maxGroups: count('A login with more groups fails.', 1, 100_000).default(1000),
};

function allowedPlaceholder(placeholder: string): string | undefined {
  if (placeholder === 'dn' || placeholder === 'username' || placeholder.startsWith('attribute:'))
    return undefined;
  return 'the filter of groups has {dn}, {username} and {attribute:NAME}';
}

type GroupKeys = z.output<z.ZodObject<typeof shape>>;

export const groupsSchema: z.ZodType<GroupOptions> = section(
  shape,
  `{ base: "${baseExample}", filter: "(member={dn})" }`,
  (keys, complain): GroupOptions | undefined => {
    const { name, maxGroups, maxDepth = defaultMaxDepth } = keys;
    const bounds = { name, maxGroups, maxDepth };
    if (keys.maxDepth !== undefined && keys.nested !== true) {
      complain(
        ['maxDepth'],
        'has no effect without nested: true',
        'write that, or remove maxDepth',
      );
    }
    if (keys.attribute !== undefined)
      return settleAttribute(keys.attribute, keys, bounds, complain);
    return settleSearch(keys, bounds, complain);
  },
)
  .meta({ anyOf: [{ required: ['base', 'filter'] }, { required: ['attribute'] }] })
  .describe('How the groups of a user are found. Default: users have no groups.');

type Bounds = Pick<GroupOptions, 'name' | 'maxGroups' | 'maxDepth'>;

function settleSearch(
  keys: GroupKeys,
  bounds: Bounds,
  complain: Complain,
): GroupOptions | undefined {
  const { base, scope = 'sub', filter, nested = false } = keys;
  if (base === undefined) {
    complain(
      ['base'],
      'must be the DN to search below',
      `write "${baseExample}", or give attribute: memberOf`,
    );
  }
  if (filter === undefined) {
    complain(
      ['filter'],
      'must say how groups are found',
      'write "(member={dn})", or give attribute: memberOf',
    );
  } else if (filter.placeholders.size === 0) {
    complain(
      ['filter'],
      'must contain {dn}, {username} or {attribute:NAME}, else it finds all groups',
      `write "${filterExample}"`,
    );
  } else if (nested) refuseNestedWithoutDn(filter, complain);
  if (base === undefined || filter === undefined) return undefined;
  return {
    by: 'search',
    bases: base,
    scope,
    filter,
    ...(nested && { nested: { filter, scope } }),
    ...bounds,
  };
}

function settleAttribute(
  name: string,
  keys: GroupKeys,
  bounds: Bounds,
  complain: Complain,
): GroupOptions {
  const { base = [], scope, filter, nested } = keys;
  const common = { by: 'attribute', attribute: name, bases: base, ...bounds } as const;
  if (nested !== true) {
    const message =
      'has no effect together with attribute, unless nested: true is set: write that, or remove it';
    if (filter !== undefined) complain(['filter'], message);
    if (scope !== undefined) complain(['scope'], message);
    return common;
  }
  if (base.length === 0) {
    complain(
      ['base'],
      'must be the DN to search below for groups of groups',
      `write "${baseExample}"`,
    );
  }
  if (filter === undefined) {
    complain(
      ['filter'],
      'must say how groups of groups are found',
      'write "(member={dn})", or remove nested',
    );
    return common;
  }
  const foreign = [...filter.placeholders].find((placeholder) => placeholder !== 'dn');
  if (foreign !== undefined) {
    complain(
      ['filter'],
      `{${foreign}} has no value here: together with attribute the filter finds groups of groups, by {dn} only`,
    );
  } else refuseNestedWithoutDn(filter, complain);
  return { ...common, nested: { filter, scope: scope ?? 'sub' } };
}

function refuseNestedWithoutDn(filter: FilterTemplate, complain: Complain): void {
  if (filter.placeholders.has('dn')) return;
  complain(
    ['filter'],
    'must contain {dn} to find groups of groups',
    'write "(member={dn})", or remove nested',
  );
}

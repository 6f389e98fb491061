import { type Complain, choice, list, section } from '@sallyport/plugin-options';
import type { z } from 'zod';
import { parseDnTemplate } from '../filter/dn-template.ts';
import { type FilterTemplate, parseFilterTemplate } from '../filter/filter-template.ts';
import { bases, parseAttribute, refuseOverlap, template } from './names.ts';
import type { UserOptions } from './types.ts';
import { userAttributes } from './user-attributes.ts';

const filterExample = '(&(objectClass=person)(uid={username}))';
const baseExample = 'ou=people,dc=example,dc=com';

interface WrittenFilter {
  readonly text: string;
  readonly template: FilterTemplate;
}

interface FindKeys {
  readonly base?: readonly string[] | undefined;
  readonly scope?: 'sub' | 'one' | undefined;
  readonly filter?: WrittenFilter | undefined;
  readonly loginAttributes?: readonly string[] | undefined;
}

function parseUserFilter(text: string): WrittenFilter {
  return { text, template: parseFilterTemplate(text, onlyUsername) };
}

function onlyUsername(placeholder: string): string | undefined {
  return placeholder === 'username' ? undefined : 'the filter of a user knows {username} only';
}

const shape = {
  base: bases('The DN below which users are searched for, or a list of them.', baseExample).optional(),
  scope: choice('sub: at any depth below the base. one: directly below it.', ['sub', 'one'])
    .optional()
    .meta({ default: 'sub' }),
  filter: template(
    'Finds the user (RFC 4515), with {username} for the name typed.',
    filterExample,
    parseUserFilter,
  ).optional(),
  loginAttributes: list(
    {
      description:
        'In place of {username} in the filter: a user is found when one of these attributes is the name typed.',
      example: '[sAMAccountName, userPrincipalName]',
    },
    { least: 1, most: 8 },
    (input) => parseAttribute(input, 'sAMAccountName'),
  ).optional(),
  dnTemplate: template(
    'In place of base and filter: makes the DN of the name typed, without a search.',
    'uid={username},ou=people,dc=example,dc=com',
    parseDnTemplate,
  ).optional(),
  attributes: userAttributes.prefault({}).describe("Which attributes of the user's entry Kubernetes is told."),
  unknown: choice(
    'What a name that is not in the directory is: no-opinion lets the next authenticator look, rejected ends the chain.',
    ['no-opinion', 'rejected'],
  ).default('no-opinion'),
};

/** How a user is found, and what is told of him. */
export const userSchema: z.ZodType<UserOptions> = section(
  shape,
  `{ base: "${baseExample}", filter: "(uid={username})" }`,
  (keys, complain): UserOptions | undefined => {
    const { dnTemplate, attributes, unknown } = keys;
    if (dnTemplate === undefined) {
      const find = settleSearch(keys, complain);
      return find && { find, attributes, unknown };
    }
    for (const key of ['base', 'scope', 'filter', 'loginAttributes'] as const) {
      if (keys[key] !== undefined) complain([key], 'must not stand beside dnTemplate: remove one of the two');
    }
    return { find: { by: 'dn', template: dnTemplate }, attributes, unknown };
  },
)
  .meta({ anyOf: [{ required: ['base'] }, { required: ['dnTemplate'] }] })
  .describe('How a user is found, and what Kubernetes is told of the user.');

function settleSearch(keys: FindKeys, complain: Complain): UserOptions['find'] | undefined {
  const { base, scope = 'sub', filter, loginAttributes } = keys;
  if (base === undefined) {
    complain(['base'], `must be the DN below which users are: write "${baseExample}", or give dnTemplate`);
  }
  refuseOverlap(base, scope, complain);
  refuseDuplicates(loginAttributes, complain);
  if (filter === undefined && loginAttributes === undefined) {
    complain(['filter'], 'must say how a user is found: write "(uid={username})", or give loginAttributes');
  } else if (!filter?.template.placeholders.has('username') && loginAttributes === undefined) {
    complain(['filter'], `must hold {username}, else it finds everybody: write "${filterExample}"`);
  }
  const complete = loginAttributes === undefined ? filter?.template : loginFilter(loginAttributes, filter?.text);
  return base && complete && { by: 'search', bases: base, scope, filter: complete };
}

/** Attributes are validated names and the filter is a whole one, so they can be put together as text. */
function loginFilter(attributes: readonly string[], filter: string | undefined): FilterTemplate {
  const logins = attributes.map((attribute) => `(${attribute}={username})`).join('');
  const any = attributes.length === 1 ? logins : `(|${logins})`;
  return parseFilterTemplate(filter === undefined ? any : `(&${filter}${any})`, onlyUsername);
}

function refuseDuplicates(attributes: readonly string[] = [], complain: Complain): void {
  const names = attributes.map((attribute) => attribute.toLowerCase());
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) !== index) complain(['loginAttributes', index], 'is there twice: remove it');
  }
}

import { type Complain, choice, list, section } from '@sallyport/plugin-kit';
import { z } from 'zod';
import { type FilterTemplate, parseFilterTemplate } from '../filter/filter-template.ts';
import { type DnTemplate, parseDnTemplate } from '../filter/templates.ts';
import { attribute, bases, dn, parseAttribute, template } from './names.ts';

export interface UserOptions {
  readonly find:
    | {
        readonly by: 'search';
        readonly bases: readonly string[];
        readonly scope: 'one' | 'sub';
        readonly filter: FilterTemplate;
        /** The filter for users of other authenticators. Its `comparison` is there. Left out: they are found as at a login. */
        readonly lookUpFilter?: FilterTemplate;
      }
    | { readonly by: 'dn'; readonly template: DnTemplate };
  readonly attributes: {
    readonly username: string;
    readonly uid?: string;
    readonly email?: string;
    /** The keys of Kubernetes' `extra`, in lower case, each with an attribute. */
    readonly extra: Readonly<Record<string, string>>;
  };
  /** The DN of the password policy of users whose entries name none. */
  readonly passwordPolicy?: string;
  readonly unknown: 'no-opinion' | 'rejected';
}

const filterExample = '(&(objectClass=person)(uid={username}))';
const lookUpExample = '(mail={username})';
const baseExample = 'ou=people,dc=example,dc=com';

const parseUserFilter = (text: string) => ({
  text,
  template: parseFilterTemplate(text, onlyUsername),
});

function onlyUsername(placeholder: string): string | undefined {
  return placeholder === 'username' ? undefined : 'the filter of a user has {username} only';
}

const extraExample = '{ example.com/department: departmentNumber }';

const attributesShape = {
  username: attribute("The user's name in Kubernetes. Exactly one value.", 'uid').prefault('uid'),
  uid: attribute(
    'Identifies the person even when the name is given to someone else: entryUUID, objectGUID or nsUniqueId.',
    'entryUUID',
  ).optional(),
  email: attribute('Sent to Kubernetes under the extra key email.', 'mail').optional(),
  extra: z
    .record(z.string(), attribute('The attribute; all its values are sent.', 'departmentNumber'), {
      error: `must be keys with attributes: write ${extraExample}`,
    })
    .meta({ propertyNames: { pattern: '^[^A-Z]+$' } })
    .default({})
    .describe("Kubernetes' extra: lowercase keys, each with an attribute."),
};

const userAttributes = section(
  attributesShape,
  '{ username: uid, uid: entryUUID }',
  ({ username, uid, email, extra }, complain): UserOptions['attributes'] => {
    for (const key of Object.keys(extra)) refuseExtraKey(key, complain);
    if (email !== undefined && Object.hasOwn(extra, 'email')) {
      complain(
        ['extra', 'email'],
        'is taken by the attribute under email',
        'remove one of the two',
      );
    }
    return {
      username,
      ...(uid !== undefined && { uid }),
      ...(email !== undefined && { email }),
      extra,
    };
  },
);

/** Refuses a key that the gateway's identity policy would refuse at each login. */
function refuseExtraKey(key: string, complain: Complain): void {
  if (key === '') {
    complain(
      ['extra', key],
      'is an empty key',
      'write a lowercase one with a domain, such as example.com/department',
    );
  }
  if (key !== key.toLowerCase())
    complain(['extra', key], 'must be lowercase', `write ${key.toLowerCase()}`);
  const [domain = ''] = key.split('/');
  if (/(^|\.)(k8s|kubernetes)\.io$/i.test(domain)) {
    complain(
      ['extra', key],
      'is in a domain of Kubernetes',
      'write a key of your own, such as example.com/department',
    );
  }
}

const shape = {
  base: bases('The DN to search below for users, or a list of them.', baseExample).optional(),
  scope: choice('sub: at any depth below the base. one: directly below it.', ['sub', 'one'])
    .optional()
    .meta({ default: 'sub' }),
  filter: template(
    'Finds the user (RFC 4515), with {username} for the typed name.',
    filterExample,
    parseUserFilter,
  ).optional(),
  loginAttributes: list(
    {
      description:
        'Instead of {username} in the filter: attributes, of which one must have the typed name.',
      example: '[sAMAccountName, userPrincipalName]',
    },
    { min: 1, max: 8 },
    (input) => parseAttribute(input, 'sAMAccountName'),
  ).optional(),
  lookUpFilter: template(
    'Finds users of other authenticators whose directory this is (RFC 4515), with {username} for the value that is looked up. Default: as at a login.',
    lookUpExample,
    parseUserFilter,
  ).optional(),
  dnTemplate: template(
    'Instead of base and filter: makes the DN from the typed name, without a search.',
    'uid={username},ou=people,dc=example,dc=com',
    parseDnTemplate,
  ).optional(),
  attributes: userAttributes
    .prefault({})
    .describe("The attributes of the user's entry that are sent to Kubernetes."),
  passwordPolicy: dn(
    "OpenLDAP's default password policy (ppolicy_default), whose pwdLockoutDuration ends the locks of users whose entries name no policy.",
    'cn=default,ou=policies,dc=example,dc=com',
  ).optional(),
  unknown: choice(
    'The decision for a name that is not in the directory: no-opinion calls the next authenticator, rejected ends the chain.',
    ['no-opinion', 'rejected'],
  ).default('no-opinion'),
};

export const userSchema: z.ZodType<UserOptions> = section(
  shape,
  `{ base: "${baseExample}", filter: "(uid={username})" }`,
  (keys, complain): UserOptions | undefined => {
    const { dnTemplate, attributes, unknown: onUnknown, passwordPolicy } = keys;
    const common = {
      attributes,
      unknown: onUnknown,
      ...(passwordPolicy !== undefined && { passwordPolicy }),
    };
    if (dnTemplate === undefined) {
      const find = settleSearch(keys, complain);
      return find && { find, ...common };
    }
    for (const key of ['base', 'scope', 'filter', 'loginAttributes', 'lookUpFilter'] as const) {
      if (keys[key] !== undefined)
        complain([key], "can't be used together with dnTemplate", 'remove one of the two');
    }
    return { find: { by: 'dn', template: dnTemplate }, ...common };
  },
)
  .meta({ anyOf: [{ required: ['base'] }, { required: ['dnTemplate'] }] })
  .describe('How a user is found, and what is sent to Kubernetes.');

type UserKeys = z.output<z.ZodObject<typeof shape>>;

function settleSearch(keys: UserKeys, complain: Complain): UserOptions['find'] | undefined {
  const { base, scope = 'sub', filter, loginAttributes } = keys;
  const lookUpFilter = keys.lookUpFilter?.template;
  if (base === undefined) {
    complain(
      ['base'],
      'must be the DN to search below',
      `write "${baseExample}", or give dnTemplate`,
    );
  }
  if (filter === undefined && loginAttributes === undefined) {
    complain(
      ['filter'],
      'must say how a user is found',
      'write "(uid={username})", or give loginAttributes',
    );
  } else if (!filter?.template.placeholders.has('username') && loginAttributes === undefined) {
    complain(
      ['filter'],
      'must contain {username}, else it finds every user',
      `write "${filterExample}"`,
    );
  }
  if (lookUpFilter !== undefined && lookUpFilter.comparison === undefined) {
    complain(
      ['lookUpFilter'],
      'must compare {username} by equality, not in a (!…), next to a *, or by a matching rule',
      `write "${lookUpExample}"`,
    );
  }
  const complete =
    loginAttributes === undefined ? filter?.template : loginFilter(loginAttributes, filter?.text);
  if (base === undefined || complete === undefined) return undefined;
  const lookUp = lookUpFilter && { lookUpFilter };
  return { by: 'search', bases: base, scope, filter: complete, ...lookUp };
}

/** Joins attributes and filter as text, which is safe: attributes are validated names, and the filter is complete. */
function loginFilter(attributes: readonly string[], filter: string | undefined): FilterTemplate {
  const logins = attributes.map((loginAttribute) => `(${loginAttribute}={username})`).join('');
  const anyLogin = attributes.length === 1 ? logins : `(|${logins})`;
  return parseFilterTemplate(
    filter === undefined ? anyLogin : `(&${filter}${anyLogin})`,
    onlyUsername,
  );
}

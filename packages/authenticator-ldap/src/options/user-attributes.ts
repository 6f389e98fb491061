import { type Complain, section } from '@sallyport/plugin-options';
import { z } from 'zod';
import { attribute } from './names.ts';
import type { UserOptions } from './types.ts';

const extraExample = '{ example.com/department: departmentNumber }';

const shape = {
  username: attribute("The user's name in Kubernetes. Exactly one value.", 'uid').prefault('uid'),
  uid: attribute(
    'Stays with the person when the name is given to somebody else, such as entryUUID, objectGUID or nsUniqueId.',
    'entryUUID',
  ).optional(),
  email: attribute('Told to Kubernetes under the extra key email.', 'mail').optional(),
  extra: z
    .record(z.string(), attribute('The attribute; all its values are told.', 'departmentNumber'), {
      error: `must be keys with attributes: write ${extraExample}`,
    })
    .meta({ propertyNames: { pattern: '^[^A-Z]+$' } })
    .default({})
    .describe("Kubernetes' extra: lowercase keys, each with an attribute."),
};

/** Which attributes are told. */
export const userAttributes: z.ZodType<UserOptions['attributes']> = section(
  shape,
  '{ username: uid, uid: entryUUID }',
  ({ username, uid, email, extra }, complain): UserOptions['attributes'] => {
    for (const key of Object.keys(extra)) refuseExtraKey(key, complain);
    if (email !== undefined && Object.hasOwn(extra, 'email')) {
      complain(['extra', 'email'], 'is taken by the attribute under email: remove one of the two');
    }
    return { username, ...(uid !== undefined && { uid }), ...(email !== undefined && { email }), extra };
  },
);

/** What the gateway's identity policy would refuse at each login. */
function refuseExtraKey(key: string, complain: Complain): void {
  if (key === '')
    complain(['extra', key], 'is an empty key: write a lowercase one with a domain, such as example.com/department');
  if (key !== key.toLowerCase()) complain(['extra', key], `must be lowercase: write ${key.toLowerCase()}`);
  const [domain = ''] = key.split('/');
  if (/(^|\.)(k8s|kubernetes)\.io$/i.test(domain)) {
    complain(['extra', key], 'is in a domain of Kubernetes: write a key of your own, such as example.com/department');
  }
}

import { choice, count, duration, flag, section, settleTls, tlsShape, value } from '@sallyport/plugin-options';
import type { z } from 'zod';
import { groupsSchema } from './groups.ts';
import { serverShape, settleServers } from './servers.ts';
import { bindSchema, circuitSchema, poolSchema } from './service.ts';
import type { LdapOptions } from './types.ts';
import { userSchema } from './user.ts';

const shape = {
  ...serverShape,
  order: choice('listed: the first server that works. spread: each login starts at another one.', [
    'listed',
    'spread',
  ]).default('listed'),
  serverTimeout: duration(
    'For each step with a server: TCP, TLS, a bind, a search. The same login then asks the next server.',
    { least: '50ms', most: '30s' },
  ).prefault('1s'),
  serverCircuit: circuitSchema.prefault({}),
  ...tlsShape('ldap'),
  bind: bindSchema.optional(),
  user: userSchema,
  groups: groupsSchema.optional(),
  pool: poolSchema.prefault({}),
  maxUserBinds: count('Concurrent user binds; more wait.', 1, 1000).default(32),
  reuseUserConnections: flag(
    'Connections of user binds are used for further ones; false: each has a connection of its own.',
  ).default(true),
  tokenPrefix: value(
    { description: 'The prefix of tokens, before the base64 of user:password, such as ldap:.', pattern: '^[!-~]*$' },
    (input) => {
      const isValid = typeof input === 'string' && input.length <= 64 && /^[!-~]*$/.test(input);
      if (isValid) return { value: input };
      return { problem: 'must be visible ASCII, at most 64 characters', fix: 'write ldap: in quotes' };
    },
  ).prefault(''),
};

/** `options` of an authenticator of this plugin, with secrets in place, as the plugin uses them. */
export const optionsSchema: z.ZodType<LdapOptions> = section(
  shape,
  '{ urls: [ldaps://ldap.example.com], user: { … } }',
  (keys, complain): LdapOptions => {
    const { servers, srv } = settleServers(keys, complain);
    const all = [...servers, ...(srv ? [srv] : [])];
    const spoken = all.length === 0 || all.some(({ security }) => security !== 'insecure');
    const { tokenPrefix, order, serverTimeout, serverCircuit, bind, user, groups, pool } = keys;
    const { maxUserBinds, reuseUserConnections } = keys;
    return {
      tokenPrefix,
      servers,
      ...(srv && { srv }),
      order,
      serverTimeout,
      circuit: serverCircuit,
      tls: settleTls(keys, { word: 'ldap', spoken, fix: 'use ldaps:// or startTLS: true' }, complain),
      ...(bind && { bind }),
      user,
      ...(groups && { groups }),
      pool,
      maxUserBinds,
      reuseUserConnections,
    };
  },
)
  .meta({ anyOf: [{ required: ['urls'] }, { required: ['srv'] }] })
  .describe('A directory that users bind to with name and password.');

import {
  choice,
  count,
  duration,
  flag,
  parseText,
  secret,
  section,
  settleTls,
  tlsShape,
  value,
} from '@sallyport/plugin-kit';
import { parseDn } from '../filter/distinguished-name.ts';
import { groupsSchema } from './groups.ts';
import { serverShape, settleServers } from './servers.ts';
import { userSchema } from './user.ts';

const dnExample = 'cn=sallyport,ou=services,dc=example,dc=com';

/** The service account. Active Directory also takes names that are no DN, such as `sallyport@example.com`. */
const bindSchema = section(
  {
    dn: value(
      { description: `The service account, such as ${dnExample}.`, minLength: 1 },
      (input) => {
        const parsed = parseText(input, dnExample);
        const isBad =
          'value' in parsed && parsed.value.includes('=') && parseDn(parsed.value) === undefined;
        return isBad
          ? { problem: `${JSON.stringify(parsed.value)} is not a DN`, fix: `write ${dnExample}` }
          : parsed;
      },
    ),
    password: secret(
      'Its password, as { file: path } or { env: NAME }.',
      'write { file: secrets/ldap-password } or { env: LDAP_PASSWORD }',
      'must not be empty (servers would bind as anonymous)',
    ),
  },
  `{ dn: "${dnExample}", password: { file: secrets/ldap-password } }`,
  (bind) => bind,
).describe('The service account that searches. Default: searches are anonymous.');

const circuitSchema = section(
  {
    failures: count('Consecutive failures after which a server is skipped.', 1, 100).default(3),
    probeInterval: duration('How often a skipped server is probed in the background.', {
      min: '100ms',
      max: '10m',
    }).prefault('2s'),
  },
  '{ failures: 3, probeInterval: 2s }',
  (circuit) => circuit,
).describe('When a server that fails is skipped, and how soon it is used again.');

const poolTime = { min: '1s' };

const poolSchema = section(
  {
    max: count('Connections to each server; more searches wait.', 1, 1000).default(10),
    idleTimeout: duration('How long an unused connection stays open.', poolTime).prefault('5m'),
    maxAge: duration(
      'The age at which a connection is closed. A new one is made when it is needed.',
      poolTime,
    ).prefault('30m'),
  },
  '{ max: 10 }',
  (pool) => pool,
).describe('Connections for searches. Users bind on other connections.');

const shape = {
  ...serverShape,
  order: choice(
    'listed: the first server that works. spread: each login starts at another server.',
    ['listed', 'spread'],
  ).default('listed'),
  serverTimeout: duration(
    'Time limit for each step with a server: TCP, TLS, a bind, a search. After it, the login continues at the next server.',
    { min: '50ms', max: '30s' },
  ).prefault('1s'),
  serverCircuit: circuitSchema.prefault({}),
  ...tlsShape('ldap'),
  bind: bindSchema.optional(),
  user: userSchema,
  groups: groupsSchema.optional(),
  pool: poolSchema.prefault({}),
  maxUserBinds: count('Concurrent user binds; more wait.', 1, 1000).default(32),
  reuseUserConnections: flag(
    'Users bind one after another on the same connections. false: a new connection for each.',
  ).default(true),
  tokenPrefix: value(
    {
      description: 'The prefix of tokens, before the base64 of user:password, such as ldap:.',
      pattern: '^[!-~]*$',
    },
    (input) => {
      const isValid = typeof input === 'string' && input.length <= 64 && /^[!-~]*$/.test(input);
      if (isValid) return { value: input };
      return {
        problem: 'must be visible ASCII, at most 64 characters',
        fix: 'write ldap: in quotes',
      };
    },
  ).prefault(''),
};

export const optionsSchema = section(
  shape,
  '{ urls: [ldaps://ldap.example.com], user: { … } }',
  (keys, complain) => {
    const { servers, srv } = settleServers(keys, complain);
    const sources = [...servers, ...(srv ? [srv] : [])];
    const spoken = sources.length === 0 || sources.some(({ security }) => security !== 'insecure');
    const tls = settleTls(
      keys,
      { word: 'ldap', spoken, fix: 'use ldaps:// or startTLS: true' },
      complain,
    );
    const { bind, groups, serverCircuit: circuit, order, serverTimeout, user, pool } = keys;
    const { tokenPrefix, maxUserBinds, reuseUserConnections } = keys;
    const optional = { ...(srv && { srv }), ...(bind && { bind }), ...(groups && { groups }) };
    const limits = { serverTimeout, circuit, pool, maxUserBinds, reuseUserConnections };
    return { tokenPrefix, servers, order, tls, user, ...limits, ...optional };
  },
)
  .meta({ anyOf: [{ required: ['urls'] }, { required: ['srv'] }] })
  .describe('A directory that users bind to with name and password.');

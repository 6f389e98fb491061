import { count, duration, parseText, section, value } from '@sallyport/plugin-options';
import type { z } from 'zod';
import { parseDn } from '../filter/distinguished-name.ts';
import type { LdapOptions, PoolOptions, ServerCircuitOptions } from './types.ts';

const dnExample = 'cn=sallyport,ou=services,dc=example,dc=com';

/** The service account. Active Directory also takes names that are no DN, such as `sallyport@example.com`. */
export const bindSchema: z.ZodType<NonNullable<LdapOptions['bind']>> = section(
  {
    dn: value({ description: `The service account, such as ${dnExample}.`, minLength: 1 }, (input) => {
      const parsed = parseText(input, dnExample);
      const isBad = 'value' in parsed && parsed.value.includes('=') && parseDn(parsed.value) === undefined;
      return isBad ? { problem: `${JSON.stringify(parsed.value)} is no DN`, fix: `write ${dnExample}` } : parsed;
    }),
    password: value(
      { description: 'Its password, as { file: path } or { env: NAME }.', minLength: 1, writeOnly: true },
      (input) => {
        const fix = 'write { file: secrets/ldap } or { env: LDAP_PASSWORD }';
        if (typeof input !== 'string') return { problem: 'must be a secret', fix };
        if (input === '') return { problem: 'must not be empty (servers would bind as anonymous)', fix };
        if (input.includes('\0') || !input.isWellFormed()) return { problem: 'must be text', fix };
        return { value: input };
      },
    ),
  },
  `{ dn: "${dnExample}", password: { file: secrets/ldap } }`,
  ({ dn, password }) => ({ dn, password }),
).describe('The service account that searches. Left out: searches are anonymous.');

/** When a server that fails is skipped. */
export const circuitSchema: z.ZodType<ServerCircuitOptions> = section(
  {
    failures: count('Consecutive failures after which a server is skipped.', 1, 100).default(3),
    probeInterval: duration('How often a skipped server is probed in the background.', {
      least: '100ms',
      most: '10m',
    }).prefault('2s'),
  },
  '{ failures: 3, probeInterval: 2s }',
  ({ failures, probeInterval }) => ({ failures, probeInterval }),
).describe('When a server that fails is skipped, and how soon it is used again.');

const poolTime = { least: '1s' };

/** The connections for searches. */
export const poolSchema: z.ZodType<PoolOptions> = section(
  {
    max: count('Connections to each server; more searches wait.', 1, 1000).default(10),
    idleTimeout: duration('A connection that was not used for this long is closed.', poolTime).prefault('5m'),
    maxAge: duration('A connection is closed after this, and a new one is made when it is needed.', poolTime).prefault(
      '30m',
    ),
  },
  '{ max: 10 }',
  (pool): PoolOptions => pool,
).describe('The connections that searches run on. Users bind on others.');

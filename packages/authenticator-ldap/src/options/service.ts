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
      const spoilt = 'value' in parsed && parsed.value.includes('=') && parseDn(parsed.value) === undefined;
      return spoilt ? { problem: `${JSON.stringify(parsed.value)} is no DN`, fix: `write ${dnExample}` } : parsed;
    }),
    password: value(
      { description: 'Its password, as { file: path } or { env: NAME }.', minLength: 1, writeOnly: true },
      (input) => {
        const fix = 'write { file: secrets/ldap } or { env: LDAP_PASSWORD }';
        if (typeof input !== 'string') return { problem: 'must be a secret', fix };
        if (input === '') return { problem: 'must not be empty (servers take that for nobody)', fix };
        if (input.includes('\0') || !input.isWellFormed()) return { problem: 'must be text', fix };
        return { value: input };
      },
    ),
  },
  `{ dn: "${dnExample}", password: { file: secrets/ldap } }`,
  ({ dn, password }) => ({ dn, password }),
).describe('The service account that searches. Left out: searches are anonymous.');

/** When a server that fails is left alone. */
export const circuitSchema: z.ZodType<ServerCircuitOptions> = section(
  {
    failures: count('Faults in a row, then no login waits for that server.', 1, 100).default(3),
    probeInterval: duration('How often it is tried in the background then.', {
      least: '100ms',
      most: '10m',
    }).prefault('2s'),
  },
  '{ failures: 3, probeInterval: 2s }',
  ({ failures, probeInterval }) => ({ failures, probeInterval }),
).describe('When a server that fails is left alone, and how it comes back.');

const poolTime = { least: '1s' };

/** The connections for searches. */
export const poolSchema: z.ZodType<PoolOptions> = section(
  {
    min: count('Kept open to each server in use.', 0, 1000).default(1),
    max: count('At most so many to each server; searches wait for one to be free.', 1, 1000).default(10),
    idleTimeout: duration('A connection over min that nobody used for this long is closed.', poolTime).prefault('5m'),
    maxAge: duration('A connection is closed and made anew after this.', poolTime).prefault('30m'),
    healthCheckInterval: duration('An idle connection is tried this often.', poolTime).prefault('30s'),
  },
  '{ min: 1, max: 10 }',
  (pool, complain): PoolOptions => {
    if (pool.min > pool.max) {
      complain(['min'], `must be at most max, which is ${pool.max}: write min: ${pool.max}, or a bigger max`);
    }
    return pool;
  },
).describe('The connections that searches run on. Users bind on others.');

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Authenticator, Decision, PluginContext } from '@sallyport/authenticator';
import { toLdif } from '@sallyport/test-servers/ldif';
import type { Slapd } from '@sallyport/test-servers/slapd';
import plugin from '../src/index.ts';
import { tokenOf } from '../src/testing/ldap-options.ts';
import { settled } from '../src/testing/written-options.ts';

/** A login and its expected outcome: a name, a refusal, or no opinion. */
export interface PlannedLogin {
  readonly token: string;
  readonly expected: string;
}

const people = 50;

/**
 * Fills the directory with people in groups of groups.
 *
 * @returns the logins to make, again and again: four right ones to a wrong password and an unknown name
 */
export async function fillDirectory({ add, suffix }: Slapd): Promise<readonly PlannedLogin[]> {
  const passwords = Array.from({ length: people }, () => randomBytes(18).toString('base64url'));
  const dnOf = (index: number) => `uid=user-${index},ou=people,${suffix}`;
  const users = passwords.map((userPassword, index) => ({
    dn: dnOf(index),
    attributes: { objectClass: ['account', 'simpleSecurityObject'], userPassword },
  }));
  const group = (cn: string, member: readonly string[]) => ({
    dn: `cn=${cn},ou=groups,${suffix}`,
    attributes: { objectClass: ['groupOfNames'], cn, member },
  });
  const team = group(
    'team',
    passwords.map((_, index) => dnOf(index)),
  );
  await add(toLdif([...users, team, group('department', [team.dn])]));
  return passwords.flatMap((password, index) => {
    const right = { token: tokenOf(`user-${index}`, password), expected: `user-${index}: department,team` };
    return [
      right,
      right,
      { token: tokenOf(`user-${index}`, 'a wrong password'), expected: 'invalid-credentials' },
      right,
      right,
      { token: tokenOf(`nobody-${index}`, password), expected: 'no-opinion' },
    ];
  });
}

/** An authenticator over TLS. The lockout guard is the gateway's, so here each attempt may be sent. */
export async function createAuthenticator({ caFile, ldapsUrl, service, suffix }: Slapd): Promise<Authenticator> {
  const options = settled({
    urls: [ldapsUrl],
    caFile,
    serverTimeout: '5s',
    bind: service,
    user: { base: `ou=people,${suffix}`, filter: '(uid={username})' },
    groups: { base: `ou=groups,${suffix}`, filter: '(member={dn})', nested: true },
  });
  return await plugin.create(options, quietContext);
}

const nothing = () => {};

const quietContext: PluginContext = {
  logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  metrics: {
    counter: () => ({ inc: nothing }),
    gauge: () => ({ set: nothing, inc: nothing, dec: nothing }),
    histogram: () => ({ observe: nothing }),
  },
  baseDirectory: '/',
  signal: new AbortController().signal,
  attempts: { admit: async () => ({ admitted: true, settle: async () => {} }) },
  watchFile: async (file, load) => load(await readFile(file)),
};

/** The outcome of a login, as `PlannedLogin` has it. */
export function wordsOf(decision: Decision): string {
  if (decision.kind === 'rejected') return decision.reason;
  return decision.kind === 'authenticated'
    ? `${decision.user.username}: ${decision.user.groups?.join() ?? ''}`
    : decision.kind;
}

import { readFile } from 'node:fs/promises';
import { toLdif } from './ldif.ts';
import { type Slapd, type SlapdOptions, startSlapd } from './slapd.ts';
import { randomToken, secret } from './tokens.ts';

/** A user in the directory. */
interface Person {
  readonly name: string;
  readonly password: string;
  readonly dn: string;
  /** The token that `kubectl` would send. */
  readonly token: string;
}

/** A directory with two people. One, alice, is an administrator through a group of a group. */
export interface People extends AsyncDisposable {
  readonly slapd: Slapd;
  readonly alice: Person;
  readonly bob: Person;
  /** The files next to a gateway.yaml that contains `authenticator`. */
  readonly files: Readonly<Record<string, string>>;
  /** An entry of `authenticators`, as a user writes it. */
  authenticator(changed?: { readonly options?: object; readonly entry?: object }): object;
  /** Adds a person who is alone in these groups, for a test that shares the directory with others. */
  add(name: string, ...groups: readonly string[]): Promise<Person>;
}

/** A busy machine is not an outage of the directory: these are far longer than any answer takes. */
export const longTimeouts = { timeout: '9s', options: { serverTimeout: '8s' } };

/** Makes the token of a name and a password. Neither it nor the password may be in any output. */
export function ldapToken(name: string, password: string): string {
  secret(password);
  return secret(Buffer.from(`${name}:${password}`).toString('base64'));
}

export async function startPeople(directory?: SlapdOptions): Promise<People> {
  const slapd = await startSlapd(directory);
  const { suffix } = slapd;
  const person = (name: string): Person => {
    const password = randomToken();
    return {
      name,
      password,
      dn: `uid=${name},ou=people,${suffix}`,
      token: ldapToken(name, password),
    };
  };
  const [alice, bob] = [person('alice'), person('bob')];
  const group = (cn: string, member: string) => ({
    dn: `cn=${cn},ou=groups,${suffix}`,
    attributes: { objectClass: ['groupOfNames'], member: [member] },
  });
  const [operators, admins] = [
    group('operators', alice.dn),
    group('k8s-admins', `cn=operators,ou=groups,${suffix}`),
  ];
  const entryOf = ({ dn, password }: Person) => ({
    dn,
    attributes: { objectClass: ['account', 'simpleSecurityObject'], userPassword: password },
  });
  await slapd.add(toLdif([entryOf(alice), entryOf(bob), operators, admins]));
  const options = {
    urls: [slapd.ldapsUrl],
    caFile: 'tls/ldap-ca.crt',
    bind: { dn: slapd.service.dn, password: { file: 'secrets/ldap-password' } },
    user: { base: `ou=people,${suffix}`, filter: '(uid={username})' },
    groups: { base: `ou=groups,${suffix}`, filter: '(member={dn})', nested: true },
    ...longTimeouts.options,
  };
  return {
    slapd,
    alice,
    bob,
    files: {
      'tls/ldap-ca.crt': await readFile(slapd.caFile, 'utf8'),
      'secrets/ldap-password': secret(slapd.service.password),
    },
    async add(name, ...groups) {
      const added = person(name);
      await slapd.add(toLdif([entryOf(added), ...groups.map((cn) => group(cn, added.dn))]));
      return added;
    },
    authenticator: ({ options: otherOptions, entry } = {}) => ({
      name: 'corp',
      use: 'ldap',
      username: { prefix: 'corp:' },
      groups: { prefix: 'corp:', allow: ['k8s-*'] },
      cache: 'off',
      timeout: longTimeouts.timeout,
      options: { ...options, ...otherOptions },
      ...entry,
    }),
    [Symbol.asyncDispose]: () => slapd[Symbol.asyncDispose](),
  };
}

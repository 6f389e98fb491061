/** The people, the accounts and the secrets of a soak. */
import { ldapToken, type startPeople } from '@sallyport/test-servers/people';
import { newToken, writeRecord } from '@sallyport/test-servers/redis-tokens';
import { tokensFile } from '@sallyport/test-servers/static-tokens';
import { secret } from '@sallyport/test-servers/tokens';
import type { Identity } from './history.ts';
import type { Store } from './stores.ts';
import type { Account, Credential, Person, World } from './world.ts';

/** A user as Kubernetes sees them. */
export const identity = (
  username: string,
  groups: readonly string[] = [],
  uid?: string,
): Identity => ({
  username,
  groups,
  uid,
});

export function membersFile(members: readonly Credential[]): string {
  return tokensFile(
    Object.fromEntries(members.map(({ token, user }) => [token, user?.username ?? ''])),
  );
}

export function createCredentials(
  tokens: Store,
): Pick<World, 'newCredential' | 'passwordOf' | 'findPassword' | 'issueRobot'> {
  let number = 0;
  const passwords = new Map<string, Credential>();
  const newCredential: World['newCredential'] = (kind, token, user) => ({
    number: ++number,
    kind,
    token: secret(token),
    ...(user && { user }),
  });
  return {
    newCredential,
    passwordOf({ name, identity: user }, password) {
      const credential = newCredential('password', ldapToken(name, password), user);
      passwords.set(credential.token, credential);
      return credential;
    },
    findPassword: (name, password) => passwords.get(ldapToken(name, password)),
    async issueRobot() {
      const token = newToken();
      const robot = newCredential('robot token', token, identity(`robot:ci-${number}`));
      await writeRecord(
        tokens.masterOf,
        token,
        JSON.stringify({ username: `ci-${robot.number - 1}` }),
      );
      return robot;
    },
  };
}

/** The uid of a user in the directory. */
export const uidOf = (name: string): string => `id-${name}`;

/** The group that an account can join and leave. */
export const optionalGroupOf = ({ name }: Pick<Account, 'name'>): string => `k8s-optional-${name}`;

export async function addAccounts(
  { add, slapd }: Awaited<ReturnType<typeof startPeople>>,
  { newCredential }: Pick<World, 'newCredential'>,
  sign: (claims: object) => string,
  count: number,
): Promise<Account[]> {
  const exp = Math.floor(Date.now() / 1_000) + 86_400;
  return await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const name = `account-${at}`;
      const { dn } = await add(name, `k8s-${name}`);
      const group = `cn=${optionalGroupOf({ name })},ou=groups,${slapd.suffix}`;
      // A group has a member.
      await slapd.add(`dn: ${group}\nobjectClass: groupOfNames\nmember: ${slapd.service.dn}\n`);
      const user = identity(`oidc:${name}`, [`corp:k8s-${name}`]);
      const token = sign({ sub: name, exp });
      const credential = newCredential('directory token', token, user);
      return { name, dn, credential: { ...credential, account: `corp:${name}` } };
    }),
  );
}

export async function addPeople(
  { add, slapd }: Awaited<ReturnType<typeof startPeople>>,
  { passwordOf }: Pick<World, 'passwordOf'>,
  kind: string,
  count: number,
): Promise<Person[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const name = `${kind}-${at}`;
      const { dn, password } = await add(name, `k8s-${name}`);
      await slapd.modify(
        `dn: ${dn}\nchangetype: modify\nadd: description\ndescription: ${uidOf(name)}\n`,
      );
      const user = identity(`corp:${name}`, [`corp:k8s-${name}`], uidOf(name));
      return {
        name,
        dn,
        identity: user,
        credential: passwordOf({ name, identity: user }, password),
        old: [],
      };
    }),
  );
}

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { startDs389 } from '@sallyport/test-servers/ds389';
import { type LdifEntry, toLdif } from '@sallyport/test-servers/ldif';
import { adUser, newAdPassword, startSamba } from '@sallyport/test-servers/samba';
import { startSlapd } from '@sallyport/test-servers/slapd';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import plugin from './index.ts';
import { type PluginGateway, pluginGateway } from './testing/plugin-gateway.ts';

/** What depends on the one directory, and not on its kind. */
interface Place {
  readonly ldapsUrl: string;
  readonly caFile: string;
  readonly suffix: string;
  readonly account: { readonly dn: string; readonly password: string };
}

const resources = new AsyncDisposableStack();
afterAll(() => resources.disposeAsync());

async function gateway(file: string, { ldapsUrl, caFile, suffix, account }: Place): Promise<PluginGateway> {
  const text = await readFile(new URL(`../examples/${file}`, import.meta.url), 'utf8');
  const options = parse(text.replaceAll(/dc=example,dc=com/gi, suffix));
  const made = await pluginGateway(plugin, {
    ...options,
    urls: [ldapsUrl],
    caFile,
    bind: account,
    serverTimeout: '10s',
  });
  onTestFinished(() => made[Symbol.asyncDispose]());
  return made;
}

/** @param username as typed; the directory has `alice` */
async function works(made: PluginGateway, username: string, password: string, groups: readonly string[]) {
  await made.check();
  expect(await made.logIn(username, password)).toEqual({
    kind: 'authenticated',
    user: {
      username: 'alice',
      uid: expect.stringMatching(/^[0-9a-f]{8}-/),
      groups,
      extra: { 'example.com/email': ['alice@example.com'] },
    },
  });
  const refused = { kind: 'rejected', reason: 'invalid-credentials', subject: 'alice' };
  expect(await made.logIn(username, `${password}x`)).toEqual(refused);
  expect(await made.logIn(`no-${username}`, password)).toEqual({ kind: 'no-opinion' });
  expect(made.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
}

test('openldap.yaml works with OpenLDAP', async () => {
  const slapd = resources.use(await startSlapd({ countsOperations: false }));
  const password = randomUUID();
  const alice = `uid=alice,ou=people,${slapd.suffix}`;
  const group = (cn: string, attributes: LdifEntry['attributes']): LdifEntry => ({
    dn: `cn=${cn},ou=groups,${slapd.suffix}`,
    attributes: { cn, ...attributes },
  });
  const user = { objectClass: 'inetOrgPerson', uid: 'alice', cn: 'Alice', sn: 'A', mail: 'alice@example.com' };
  const team = group('team', { objectClass: 'groupOfNames', member: alice });
  await slapd.add(
    toLdif([
      { dn: alice, attributes: { ...user, userPassword: password } },
      team,
      group('all', { objectClass: 'groupOfNames', member: team.dn }),
      group('unix', { objectClass: 'posixGroup', gidNumber: '500', memberUid: 'alice' }),
      group('others', { objectClass: 'posixGroup', gidNumber: '501', memberUid: 'bob' }),
    ]),
  );
  const made = await gateway('openldap.yaml', { ...slapd, account: slapd.service });
  await works(made, 'alice', password, ['all', 'team', 'unix']);
});

test('389-ds.yaml works with 389-DS', async () => {
  const server = resources.use(await startDs389());
  const password = randomUUID();
  const alice = `uid=alice,ou=people,${server.suffix}`;
  const user = { objectClass: 'inetOrgPerson', uid: 'alice', cn: 'Alice', sn: 'A', mail: 'alice@example.com' };
  const group = (cn: string, member: string): LdifEntry => ({
    dn: `cn=${cn},ou=groups,${server.suffix}`,
    attributes: { objectClass: 'groupOfNames', cn, member },
  });
  const team = group('team', alice);
  const others = group('others', server.service.dn);
  const entries = [{ dn: alice, attributes: { ...user, userPassword: password } }, team, group('all', team.dn), others];
  await server.add(toLdif(entries));
  const made = await gateway('389-ds.yaml', { ...server, account: server.service });
  await works(made, 'alice', password, ['all', 'team']);
});

test('active-directory.yaml works with a domain of Samba', async () => {
  const samba = resources.use(await startSamba());
  const password = newAdPassword();
  const alice = adUser({ rdn: 'CN=Alice A.', accountName: 'alice', password, more: { mail: 'alice@example.com' } });
  const group = (name: string, member: string): LdifEntry => ({
    dn: `CN=${name} of all,CN=Users,${samba.suffix}`,
    attributes: { objectClass: 'group', sAMAccountName: name, member },
  });
  const team = group('team', alice.dn);
  await samba.add(toLdif([alice, team, group('all', team.dn), group('others', samba.administrator.dn)]));
  const made = await gateway('active-directory.yaml', { ...samba, account: samba.administrator });
  await works(made, 'alice', password, ['all', 'team']);
  await works(made, `alice@${samba.realm}`, password, ['all', 'team']);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ds389, startDs389 } from './ds389.ts';
import { runLdapTool, tryBind } from './ldap-tools.ts';
import { toLdif, toReplacements } from './ldif.ts';

const password: string = crypto.randomUUID();
let server: Ds389;
beforeAll(async () => {
  server = await startDs389();
});
afterAll(() => server?.[Symbol.asyncDispose]());

async function addUser(name: string, attributes: Readonly<Record<string, string>> = {}): Promise<string> {
  const dn = `uid=${name},ou=people,${server.suffix}`;
  const person = { objectClass: 'inetOrgPerson', cn: name, sn: name, userPassword: password };
  await server.add(toLdif([{ dn, attributes: person }]));
  if (Object.keys(attributes).length > 0) {
    await server.modify(toReplacements([{ dn, attributes }]));
  }
  return dn;
}

function bind(dn: string, typed = password): Promise<{ code: number; text: string }> {
  return tryBind({ url: server.ldapsUrl, caFile: server.caFile, dn, password: typed });
}

describe('a bind', () => {
  test('with the right password succeeds, with a wrong one not', async () => {
    const dn = await addUser('plain');
    expect(await bind(dn)).toMatchObject({ code: 0 });
    expect(await bind(dn, 'wrong')).toMatchObject({ code: 49 });
  });

  test.each([
    ['inactive', 53, { nsAccountLock: 'true' }, 'inactivated'],
    ['expired', 49, { passwordExpirationTime: '20200101000000Z' }, 'expired'],
  ])('of %s ends with code %i', async (name, code, attributes, text) => {
    const dn = await addUser(name, attributes);
    expect(await bind(dn)).toEqual({ code, text: expect.stringContaining(text) });
  });

  test('with a password that the manager has set succeeds, and a control says that it must be changed', async () => {
    const dn = await addUser('reset');
    const mustChange = (value: string) =>
      toReplacements([{ dn: 'cn=config', attributes: { passwordMustChange: value } }]);
    await server.modify(mustChange('on'));
    await server.modify(toReplacements([{ dn, attributes: { userPassword: password } }]));
    // The bind succeeds, and the next request of the client ends with 53.
    expect((await bind(dn)).text).toMatch(
      /^control: 2\.16\.840\.1\.113730\.3\.4\.4 [\s\S]*unwilling to perform \(53\)/,
    );
    await server.modify(mustChange('off'));
  });

  test('ends with code 19 after three wrong passwords', async () => {
    const dn = await addUser('unlucky');
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await bind(dn, 'wrong');
    }
    expect(await bind(dn)).toMatchObject({ code: 19 });
  });
});

test('the service account reads memberOf and entryDN', async () => {
  const dn = await addUser('member');
  const group = { dn: `cn=team,ou=groups,${server.suffix}`, attributes: { objectClass: 'groupOfNames', member: dn } };
  await server.add(toLdif([group]));
  const login = { url: server.url, ...server.service };
  const found = await runLdapTool('ldapsearch', login, ['-LLL', '-b', dn, 'memberOf', 'entryDN', 'userPassword']);
  expect(found.stdout).toContain(`memberOf: ${group.dn}`);
  expect(found.stdout).toContain(`entryDN: ${dn}`);
  expect(found.stdout).not.toContain('userPassword');
});

test('offers StartTLS, and comes back after a stop and a hang', async () => {
  const clear = { url: server.url, caFile: server.caFile, ...server.service };
  expect(await runLdapTool('ldapwhoami', clear, ['-ZZ'])).toMatchObject({ code: 0 });
  await server.stop();
  expect(await tryBind(clear)).toMatchObject({ code: 255 });
  await server.start();
  await server.hang();
  const late = tryBind(clear);
  await server.start();
  expect(await late).toMatchObject({ code: 0 });
});

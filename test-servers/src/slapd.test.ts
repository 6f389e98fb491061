import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from './certificates.ts';
import { runLdapTool, tryBind } from './ldap-tools.ts';
import { toLdif, toReplacements } from './ldif.ts';
import { accepts, hasIPv6 } from './ports.ts';
import { type Slapd, startSlapd } from './slapd.ts';
import { policies } from './slapd-configuration.ts';

const rightPassword = `right:${crypto.randomUUID()}`;
/** RFC 4511 section 4.2, in BER. */
const anonymousBind = Buffer.from('300c020101600702010304008000', 'hex');
const anonymousBindAnswer = Buffer.from('300c02010161070a010004000400', 'hex');
const yesterday = new Date(Date.now() - 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '');
const longAgo = '20200101000000Z';

let slapd: Slapd;
beforeAll(async () => {
  slapd = await startSlapd({ sizeLimit: 3 });
});
afterAll(() => slapd?.[Symbol.asyncDispose]());

async function addUser(name: string, attributes: Readonly<Record<string, string>> = {}): Promise<string> {
  const dn = `uid=${name},ou=people,${slapd.suffix}`;
  const person = { objectClass: ['inetOrgPerson'], cn: name, sn: name, userPassword: rightPassword };
  await slapd.add(toLdif([{ dn, attributes: person }]));
  if (Object.keys(attributes).length > 0) {
    await slapd.modify(toReplacements([{ dn, attributes }]));
  }
  return dn;
}

function bind(dn: string, password: string): Promise<{ code: number; text: string }> {
  return tryBind({ url: slapd.ldapsUrl, caFile: slapd.caFile, dn, password });
}

async function answerOf(port: number, request: Buffer): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(request);
    const [answer] = await once(socket, 'data');
    return answer;
  } finally {
    socket.destroy();
  }
}

describe('binds', () => {
  test('succeed with the right password, and with an empty one as in Active Directory, and fail with a wrong one', async () => {
    const dn = await addUser('binds');
    expect(await bind(dn, rightPassword)).toEqual({ code: 0, text: `dn:${dn}` });
    expect(await bind(dn, 'wrong')).toMatchObject({ code: 49 });
    expect(await bind(dn, '')).toEqual({ code: 0, text: 'anonymous' });
    expect(await bind('', 'something')).toEqual({ code: 0, text: 'anonymous' });
  });

  test.each([
    ['locked', { pwdPolicySubentry: policies.lockout, pwdAccountLockedTime: '000001010000Z' }, 49, 'Account locked'],
    ['expired', { pwdPolicySubentry: policies.expiry, pwdChangedTime: longAgo }, 49, 'Password expired'],
    ['grace', { pwdPolicySubentry: policies.grace, pwdChangedTime: longAgo }, 0, '999 grace logins remain'],
    ['warned', { pwdPolicySubentry: policies.warning, pwdChangedTime: yesterday }, 0, 'expires in'],
    ['reset', { pwdPolicySubentry: policies.mustChange, pwdReset: 'TRUE' }, 0, 'must be changed'],
  ])('the password policy control reports %s', async (name, attributes, code, text) => {
    const dn = await addUser(name, attributes);
    expect(await bind(dn, rightPassword)).toEqual({ code, text: expect.stringContaining(text) });
  });

  test('three wrong passwords lock a user of the lockout policy', async () => {
    const dn = await addUser('unlucky', { pwdPolicySubentry: policies.lockout });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      expect(await bind(dn, 'wrong')).toMatchObject({ code: 49 });
    }
    expect(await bind(dn, rightPassword)).toEqual({ code: 49, text: expect.stringContaining('Account locked') });
  });
});

describe('TLS', () => {
  test('works at both loopback addresses, with the right authority, over LDAPS and StartTLS', async () => {
    const { dn, password } = slapd.service;
    await using foreign = await createAuthority();
    const hosts = ['127.0.0.1', ...(hasIPv6 ? ['[::1]'] : [])];
    for (const host of hosts) {
      const login = { url: `ldaps://${host}:${slapd.ldapsPort}`, dn, password };
      expect(await tryBind({ ...login, caFile: slapd.caFile }), host).toEqual({ code: 0, text: `dn:${dn}` });
      expect(await tryBind({ ...login, caFile: foreign.certificateFile }), host).toMatchObject({ code: 255 });
    }
    const clear = { url: slapd.url, caFile: slapd.caFile, dn, password };
    expect(await runLdapTool('ldapwhoami', clear, ['-ZZ'])).toMatchObject({ code: 0, stdout: `dn:${dn}\n` });
  });

  test('may be required, and so may a certificate of the client', async () => {
    await using strict = await startSlapd({ requiresTls: true });
    expect(await tryBind({ url: strict.url, ...strict.service })).toMatchObject({ code: 13 });
    await using mutual = await startSlapd({ requiresClientCertificate: true });
    const refused = await tryBind({ url: mutual.ldapsUrl, caFile: mutual.caFile, ...mutual.service });
    expect(refused.code).toBeGreaterThanOrEqual(254);
  });
});

describe('searches', () => {
  const people = ['-LLL', '-o', 'ldif-wrap=no', '-b', 'ou=people,dc=example,dc=com'];

  test('see memberOf and entryDN as the service account, nothing as a user, and end at the size limit', async () => {
    const dn = await addUser('seen');
    const group = `cn=team,ou=groups,${slapd.suffix}`;
    await slapd.add(toLdif([{ dn: group, attributes: { objectClass: 'groupOfNames', member: dn } }]));
    const service = { url: slapd.url, ...slapd.service };
    const found = await runLdapTool('ldapsearch', service, [
      ...people,
      '(uid=seen)',
      'memberOf',
      'entryDN',
      'userPassword',
    ]);
    expect(found.stdout.trim()).toBe(`dn: ${dn}\nmemberOf: ${group}\nentryDN: ${dn}`);
    const user = { url: slapd.url, dn, password: rightPassword };
    expect(await runLdapTool('ldapsearch', user, [...people, '(uid=seen)'])).toMatchObject({ code: 32, stdout: '' });
    for (const name of ['one', 'two', 'three']) {
      await addUser(name);
    }
    expect(await runLdapTool('ldapsearch', service, [...people, '(sn=*)', '1.1'])).toMatchObject({ code: 4 });
  });
});

describe('lifecycle', () => {
  test('stops, hangs and comes back with its data, on the same ports, and counts operations', async () => {
    await using own = await startSlapd({ authority: slapd.authority });
    const service = { url: own.url, ...own.service };
    expect(await own.operations()).toMatchObject({ binds: 0, searches: 0 });
    expect(await tryBind(service)).toMatchObject({ code: 0 });
    await own.stop();
    expect(await tryBind(service)).toMatchObject({ code: 255 });
    await own.start();
    await own.hang();
    const late = answerOf(own.port, anonymousBind);
    const first = await Promise.race([late, accepts(own.port)]);
    expect(first).toBe(true);
    await own.start();
    expect(await late).toEqual(anonymousBindAnswer);
    expect(await runLdapTool('ldapsearch', service, ['-b', own.suffix, '(cn=nobody)'])).toMatchObject({ code: 0 });
    expect(await tryBind({ ...service, password: 'wrong' })).toMatchObject({ code: 49 });
    const counted = await own.operations();
    expect(counted.bindsByDn).toEqual(new Map(Object.entries({ [own.service.dn]: 3, '': 1 })));
    expect(counted.searchesByDn).toEqual(new Map([[own.service.dn, 1]]));
    expect(counted).toMatchObject({ binds: 4, searches: 1 });
  });

  test('a hanging one ends too', async () => {
    const own = await startSlapd({ authority: slapd.authority, countsOperations: false });
    await own.hang();
    await own[Symbol.asyncDispose]();
    expect(await accepts(own.port)).toBe(false);
  });
});

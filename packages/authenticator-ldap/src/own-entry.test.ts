import { randomUUID } from 'node:crypto';
import { toLdif } from '@sallyport/test-servers/ldif';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { afterAll, beforeAll, expect, test } from 'vitest';
import plugin from './index.ts';
import { type PluginGateway, pluginGateway } from './testing/plugin-gateway.ts';

/** These tests prove that what users write to their own entries harms no other user. */

const password = randomUUID();
let slapd: Slapd;
beforeAll(async () => {
  slapd = await startSlapd({ countsOperations: false });
});
afterAll(() => slapd?.[Symbol.asyncDispose]());

async function addUser(): Promise<{ readonly dn: string; readonly uid: string }> {
  const uid = `u-${randomUUID()}`;
  const dn = `uid=${uid},ou=people,${slapd.suffix}`;
  await slapd.add(
    toLdif([
      {
        dn,
        attributes: { objectClass: 'inetOrgPerson', cn: uid, sn: uid, userPassword: password },
      },
    ]),
  );
  return { dn, uid };
}

/** Adds values of one length in changes that slapd accepts: under 4 MiB each. */
async function addMail(dn: string, values: number, length: number): Promise<void> {
  const mail = Array.from({ length: values }, () => `mail: ${randomUUID().padEnd(length, 'x')}\n`);
  const maxValues = Math.floor(2_000_000 / length);
  for (let at = 0; at < mail.length; at += maxValues) {
    await slapd.modify(
      `dn: ${dn}\nchangetype: modify\nadd: mail\n${mail.slice(at, at + maxValues).join('')}\n`,
    );
  }
}

function gateway(): Promise<PluginGateway> {
  return pluginGateway(plugin, {
    urls: [slapd.ldapsUrl],
    caFile: slapd.caFile,
    serverTimeout: '30s',
    serverCircuit: { failures: 2 },
    bind: slapd.service,
    user: {
      base: `ou=people,${slapd.suffix}`,
      filter: '(uid={username})',
      attributes: { email: 'mail' },
    },
  });
}

test.each([
  {
    what: '2 MB of mail addresses',
    values: 10,
    length: 200_000,
    message: 'the answer has more than 1048576 bytes',
  },
  {
    what: 'more mail addresses than kube-apiserver can hand on',
    values: 1000,
    length: 100,
    message: 'have 100038 bytes, over 65536',
  },
])('$what: no other user is locked out', async ({ values, length, message }) => {
  const [other, self] = [await addUser(), await addUser()];
  await addMail(self.dn, values, length);
  await using made = await gateway();
  for (let login = 0; login < 3; login += 1) {
    const failure = { code: 'failed', message: expect.stringContaining(message) };
    await expect(made.logIn(self.uid, password)).rejects.toMatchObject(failure);
  }
  expect(await made.logIn(other.uid, password)).toMatchObject({ kind: 'authenticated' });
});

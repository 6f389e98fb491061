import { readFile } from 'node:fs/promises';
import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { runLdapTool } from '@sallyport/test-servers/ldap-tools';
import { type LdifEntry, toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { longTimeouts } from '@sallyport/test-servers/people';
import {
  accountControl,
  adUser,
  newAdPassword,
  type Samba,
  startSamba,
} from '@sallyport/test-servers/samba';
import { secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shareBrowser, watchedPage } from './testing/browser.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { buildGoClient, type GoClient } from './testing/go-client.ts';
import { answer, codeQuestion, newDesk, typePassword } from './testing/kubectl-user.ts';
import { startSite } from './testing/login-client.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import { metricsText } from './testing/scrape.ts';
import {
  addDevice,
  addPasskey,
  button,
  enrolApp,
  invite,
  openFactors,
  ownAddress,
  placeOf,
  withKubectl,
} from './testing/second-factor.ts';
import { type ReviewStatus, reviewBody, type TokenReview } from './testing/token-review.ts';

/** All tests share one domain and one gateway. Each has users of its own. */

const issuer = createJwtIssuer();
const sidKey = 'example.com/sid';
let go: GoClient;
let mutualTls: MutualTls;
let samba: Samba;
let gateway: Gateway;

/** The options of an authenticator for the domain. @param user more keys of `user` */
function directoryOptions(user: object = {}): object {
  const { administrator, ldapsUrl, suffix } = samba;
  return {
    ...longTimeouts.options,
    urls: [ldapsUrl],
    caFile: 'tls/ad-ca.crt',
    bind: { dn: administrator.dn, password: { file: 'secrets/ldap-password' } },
    user: {
      base: suffix,
      filter: '(&(objectCategory=person)(objectClass=user))',
      loginAttributes: ['sAMAccountName'],
      attributes: { username: 'sAMAccountName', uid: 'objectGUID' },
      ...user,
    },
    groups: {
      base: suffix,
      filter: '(&(objectCategory=group)(member:1.2.840.113556.1.4.1941:={dn}))',
      name: 'sAMAccountName',
    },
  };
}

const directoryFiles = async () => ({
  'tls/ad-ca.crt': await readFile(samba.caFile, 'utf8'),
  'secrets/ldap-password': secret(samba.administrator.password),
});

beforeAll(async () => {
  [go, mutualTls, samba] = await Promise.all([buildGoClient(), createMutualTls(), startSamba()]);
  const oidc = issuer.authenticator(
    { groups: {}, directory: { authenticator: 'corp', by: { extra: sidKey }, refresh: '1s' } },
    {
      claimMappings: { username: { claim: 'upn' }, extra: [{ key: sidKey, claim: 'onprem_sid' }] },
    },
  );
  const corp = {
    name: 'corp',
    use: 'ldap',
    groups: { prefix: 'corp:' },
    timeout: longTimeouts.timeout,
    circuit: { openFor: '1s' },
    options: directoryOptions({ lookUpFilter: '(objectSid={username})' }),
  };
  gateway = await startGateway({
    files: {
      ...mutualTls.files,
      ...issuer.files,
      ...(await directoryFiles()),
    },
    config: {
      server: { tls: mutualTls.tls, apiAudiences: ['kubernetes'] },
      cache: { rejectedTtl: '1s', staleTtl: '1h' },
      authenticators: [oidc, corp],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await samba?.[Symbol.asyncDispose]();
});

/** A user whose token says nothing of groups. */
interface User {
  readonly dn: string;
  readonly body: string;
  /** The answer of a review that lets them in, with all their groups in order. */
  readonly letIn: ReviewStatus;
}

/** Adds a user who is in 250 groups, of which 50 contain a group that the user is in. */
async function addUser(name: string): Promise<User> {
  const user = adUser({ rdn: `CN=${name}`, accountName: name, password: secret(newAdPassword()) });
  const group = (cn: string, member: string): LdifEntry => ({
    dn: `CN=${cn},CN=Users,${samba.suffix}`,
    attributes: { objectClass: 'group', sAMAccountName: cn, member },
  });
  const direct = Array.from({ length: 200 }, (_, at) => group(`${name}-team-${at}`, user.dn));
  const nested = direct.slice(0, 50).map(({ dn }, at) => group(`${name}-all-${at}`, dn));
  const groups = [...direct, ...nested];
  await samba.add(toLdif([user, ...groups]));
  const username = `${name}@${samba.realm}`;
  const sid = await sidOf(user.dn);
  const token = issuer.token({ sub: name, upn: username, onprem_sid: sid });
  const all = groups.map(({ attributes }) => `corp:${attributes.sAMAccountName}`).sort();
  return {
    dn: user.dn,
    body: reviewBody(token),
    letIn: {
      authenticated: true,
      user: { username: `oidc:${username}`, groups: all, extra: { [sidKey]: [sid] } },
    },
  };
}

/** Reads an objectSid, and writes it as tokens contain it (MS-DTYP section 2.4.2). */
async function sidOf(dn: string): Promise<string> {
  const login = { url: samba.ldapsUrl, caFile: samba.caFile, ...samba.administrator };
  const search = ['-LLL', '-o', 'ldif-wrap=no', '-b', dn, '-s', 'base', 'objectSid'];
  const { stdout } = await runLdapTool('ldapsearch', login, search);
  const sid = Buffer.from(/^objectSid:: (.+)$/m.exec(stdout)?.[1] ?? '', 'base64');
  const parts = Array.from({ length: sid.readUInt8(1) }, (_, at) => sid.readUInt32LE(8 + at * 4));
  return ['S', sid.readUInt8(0), sid.readUIntBE(2, 6), ...parts].join('-');
}

/** Sends a review as kube-apiserver does. @returns its answer, with the groups in order */
async function ask({ body }: Pick<User, 'body'>): Promise<ReviewStatus> {
  const request = { body, length: Buffer.byteLength(body) };
  const answer = await go.send(gateway.url, request, 'HTTP/2', mutualTls.client);
  expect(answer).toMatchObject({ status: 200, error: '' });
  const { audiences: _, ...status } = (JSON.parse(answer.body) as TokenReview).status;
  status.user?.groups?.sort();
  return status;
}

test("a JWT without groups lets its user in with the 250 groups that Active Directory has, through Go's client", async () => {
  const jane = await addUser('jane');
  expect(await ask(jane)).toEqual(jane.letIn);
});

test('a user whose account is disabled in Active Directory is refused after refresh', async () => {
  const max = await addUser('max');
  expect(await ask(max)).toEqual(max.letIn);
  await samba.modify(
    toReplacements([
      { dn: max.dn, attributes: { userAccountControl: String(accountControl.disabled) } },
    ]),
  );
  const isRefused = async () => {
    const status = await ask(max);
    if (status.authenticated) expect(status).toEqual(max.letIn);
    else expect(status).toEqual({ authenticated: false });
    return !status.authenticated;
  };
  await waitFor(isRefused, 'a refusal of a disabled account');
});

test('while Active Directory is down, who was found before keeps all groups, and others get an error and no refusal', async () => {
  const [eve, finn] = [await addUser('eve'), await addUser('finn')];
  expect(await ask(eve)).toEqual(eve.letIn);
  await samba.kill();
  const isStale = async () => {
    expect(await ask(eve)).toEqual(eve.letIn);
    return (await metricsText(gateway)).includes('result="stale"');
  };
  await waitFor(isStale, 'an answer that is older than refresh');
  expect(await ask(finn)).toEqual({
    authenticated: false,
    error: 'authenticator oidc unavailable',
  });
  expect(await ask(eve)).toEqual(eve.letIn);
  await samba.start();
  await waitFor(async () => (await ask(finn)).authenticated, 'Active Directory to be asked again');
  expect(await ask(finn)).toEqual(finn.letIn);
});

test('a user of Active Directory is invited by name, and kubectl goes on with a code, and with a passkey', async () => {
  const password = secret(newAdPassword());
  await samba.add(toLdif([adUser({ rdn: 'CN=Ivy Ames', accountName: 'ivy', password })]));
  await using site = await startSite(
    {
      count: 2,
      entry: { reviews: false },
      options: directoryOptions(),
      files: await directoryFiles(),
      login: { browser: true, trustedProxies: ['127.0.0.1'] },
      secondFactor: { required: 'all', methods: ['totp', 'passkey'] },
    },
    undefined,
    'localhost',
  );
  const ivy = { name: 'ivy', password };
  const refused = { status: 401, json: { code: 'second-factor-not-enrolled' } };
  expect(
    await site.post('/v1/sessions', { username: 'IVY', password, cluster: 'prod' }),
  ).toMatchObject(refused);
  const { app, recoveryCodes } = await enrolApp(site, ivy, (await invite(site.place, ivy)).code);

  const run = (await newDesk(site)).terminal('kubectl get namespaces -o name');
  const code = await app.code();
  await typePassword(run, { name: 'IVY', password });
  await answer(run, codeQuestion, code);
  expect(await run.ended, run.shown()).toBe(0);
  expect(run.shown()).toMatch(/namespace\/default\r\n$/);
  const again = { username: 'ivy', password, cluster: 'prod', code };
  for (const at of [0, 1])
    expect((await placeOf(site).ask({ body: again }, at)).json?.code).toBe('wrong-credentials');

  const browser = await shareBrowser();
  await using window = await watchedPage(browser, {
    ignoreHTTPSErrors: true,
    extraHTTPHeaders: ownAddress(),
  });
  const { page } = window;
  await addDevice(page);
  await openFactors(page, site, ivy, recoveryCodes[0] ?? '');
  await addPasskey(page, 'laptop');
  await withKubectl(await newDesk(site), page, ivy, () => button(page, 'Use a passkey').click());
  expect(window.complaints).toEqual([]);
});

import { randomBytes } from 'node:crypto';
import { runLdapTool, tryBind } from '@sallyport/test-servers/ldap-tools';
import { toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { codes, policies } from '@sallyport/test-servers/slapd-configuration';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runOathtool } from './testing/authenticator-app.ts';
import { type LoginPlace, startLogin } from './testing/login-gateway.ts';

const maxFailures = 3;
let place: LoginPlace;
beforeAll(async () => {
  place = await startLogin({
    count: 2,
    directory: { wantsCodes: true },
    login: { revalidate: '1s', limits: { perAddress: '1000/s' } },
    more: { lockout: { maxFailures } },
  });
});
afterAll(() => place[Symbol.asyncDispose]());

/** The seconds of one code. */
const step = 30;

/** Runs the authenticator app. @param from seconds since 1970 @returns the codes of this step and of `more` later ones */
async function codesOf(key: Buffer, from: number, more = 0): Promise<readonly string[]> {
  const when = [`--now=@${from}`, `--window=${more}`];
  return (await runOathtool(key.toString('hex'), when)).split('\n');
}

/** Makes the codes of one app. */
async function startApp(key: Buffer) {
  const began = Math.floor(Date.now() / 1000);
  const acceptable = await codesOf(key, began - 2 * codes.window * step, 4 * codes.window);
  let [used, wrong] = [0, 0];
  return {
    /** Returns the code of now, and then codes of later steps, which the directory accepts already. */
    async next(): Promise<string> {
      const [code = ''] = await codesOf(key, began + step * used++);
      return code;
    },
    /** Returns a code that is wrong for longer than a test takes, and another one each time. */
    wrong(): string {
      const code = String(wrong++).padStart(6, '0');
      return acceptable.includes(code) ? this.wrong() : code;
    },
  };
}

/** An entry of `sallyport lockouts -o json`. */
interface Lockout {
  readonly user: string;
  readonly refused: number;
  readonly lockedOut: boolean;
}

/** Adds a user whose password ends with the code of an app. The directory writes into their entry which code was used last. */
async function addUser(name: string) {
  const { slapd } = place.people;
  const [password, key] = [randomToken(), randomBytes(20)];
  const dn = `uid=${name},ou=people,${slapd.suffix}`;
  const attributes = {
    objectClass: ['account', 'simpleSecurityObject', 'oathTOTPUser', 'oathTOTPToken'],
    userPassword: password,
    // With this policy, the directory writes when the password was changed.
    pwdPolicySubentry: policies.expiry,
    oathTOTPToken: dn,
    oathTOTPParams: codes.dn,
    oathSecret: key,
  };
  await slapd.add(toLdif([{ dn, attributes }]));
  const app = await startApp(key);
  return {
    name,
    dn,
    password,
    app,
    /** Returns the number of the user's binds so far. */
    binds: async () => (await slapd.operations()).bindsByDn.get(dn) ?? 0,
    /** Waits until commands list the user with this number of refused attempts. */
    async untilRefused(attempts: number, lockedOut: boolean) {
      const isListed = async () => {
        const { stdout } = await place.replicas.operator.run(['lockouts', '-o', 'json']);
        const { lockouts } = JSON.parse(stdout) as { lockouts: readonly Lockout[] };
        const own = lockouts.find(({ user }) => user === `corp:${name}`);
        return own?.refused === attempts && own.lockedOut === lockedOut;
      };
      await waitFor(isListed, `${attempts} refused attempts of ${name}`);
    },
    /** Logs in with the password and a new code. @returns the token of the session */
    async logIn(at = 0): Promise<string> {
      return place.logIn({ name, password: secret(password + (await app.next())) }, {}, at);
    },
  };
}

/** Returns the status of a login with what a person typed. */
async function statusOf(username: string, typed: string, at = 0): Promise<number> {
  const body = { username, password: secret(typed), cluster: 'prod' };
  const { status, json } = await place.ask({ body }, at);
  if (json?.token) secret(String(json.token));
  return status;
}

/** Directories record whole seconds. A change in the second of a login counts as one before it. */
async function untilLaterSecond(): Promise<void> {
  const second = () => Math.floor(Date.now() / 1000);
  const first = second();
  await waitFor(() => second() > first, 'a later second');
}

const accepted = (name: string, groups: readonly string[] = []) =>
  expect.objectContaining({ authenticated: true, user: { username: `corp:${name}`, groups } });

describe.concurrent('a code at the end of the password', () => {
  test('gives a session, and neither password nor code is enough alone', async () => {
    const { name, dn, password, app, binds } = await addUser('both');
    expect(await statusOf(name, password)).toBe(401);
    expect(await statusOf(name, await app.next())).toBe(401);
    const both = secret(password + (await app.next()));
    const token = await place.logIn({ name, password: both });
    expect(await place.reviews(token)).toEqual([accepted(name), accepted(name)]);
    expect(await binds()).toBe(3);
    // The directory itself takes it once: this is OpenLDAP's own client.
    const { url } = place.people.slapd;
    expect(await tryBind({ url, dn, password: both })).toMatchObject({ code: 49 });
  });

  test('is asked for once: the session goes on without another bind, until the password changes', async () => {
    const { name, dn, logIn, binds } = await addUser('once');
    const { slapd } = place.people;
    const first = await logIn();
    await untilLaterSecond();
    // The next login changes the entry of the user after the first session has begun.
    const second = await logIn(1);
    const reader = { url: slapd.url, ...slapd.service };
    const { stdout } = await runLdapTool('ldapsearch', reader, ['-LLL', '-b', dn, '*', '+']);
    expect(stdout).toMatch(/^oathTOTPLastTimeStep: \d+$/m);
    expect(stdout).toMatch(/^pwdChangedTime: /m);

    // A new group shows that the directory was asked again.
    const group = { objectClass: ['groupOfNames'], member: dn };
    await slapd.add(toLdif([{ dn: `cn=k8s-once,ou=groups,${slapd.suffix}`, attributes: group }]));
    const answers = async () => [...(await place.reviews(first)), ...(await place.reviews(second))];
    const haveGroup = async () => (await answers()).every(({ user }) => user?.groups?.length === 1);
    await waitFor(haveGroup, 'the new group');
    expect(await answers()).toEqual(Array(4).fill(accepted(name, ['corp:k8s-once'])));
    expect(await binds()).toBe(2);

    await untilLaterSecond();
    await slapd.modify(toReplacements([{ dn, attributes: { userPassword: randomToken() } }]));
    const haveEnded = async () => (await answers()).every(({ authenticated }) => !authenticated);
    await waitFor(haveEnded, 'both sessions to end');
    const isReason = ({ msg, reason }: { readonly msg: string; readonly reason?: unknown }) =>
      msg === 'token review' && reason === 'password-changed';
    await place.replicas.gateways[0]?.output.waitForLine(isReason, 'password-changed');
  });

  test('that was used counts once as a wrong password, and any number of new ones let the user in', async () => {
    const { name, password, app, logIn, binds, untilRefused } = await addUser('again');
    const both = password + (await app.next());
    expect(await statusOf(name, both)).toBe(201);
    for (let more = 0; more < 3; more++) expect(await statusOf(name, both)).toBe(401);
    expect(await binds()).toBe(2);
    expect(await statusOf(name, both, 1)).toBe(401);
    for (let login = 0; login <= maxFailures; login++) await logIn(login % 2);
    await untilRefused(1, false);
  });

  test('that several terminals send at the same moment lets one of them in, and the next code works', async () => {
    const { name, password, app, logIn } = await addUser('at-once');
    const both = password + (await app.next());
    const statuses = await Promise.all([0, 1, 0, 1, 0, 1].map((at) => statusOf(name, both, at)));
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    await logIn();
    await logIn(1);
  });

  test('that is wrong counts as a wrong password, and after too many not even the right one is sent, until unlock', async () => {
    const { name, password, app, logIn, binds, untilRefused } = await addUser('guessed');
    const wrong = password + app.wrong();
    for (let more = 0; more < 2; more++) expect(await statusOf(name, wrong)).toBe(401);
    expect(await binds()).toBe(1);
    // A right code takes nothing off the count.
    await logIn();
    for (let more = 1; more < maxFailures; more++)
      expect(await statusOf(name, password + app.wrong())).toBe(401);
    expect(await binds()).toBe(1 + maxFailures);
    const right = password + (await app.next());
    expect(await statusOf(name, right)).toBe(401);
    expect(await binds()).toBe(1 + maxFailures);
    await untilRefused(maxFailures, true);
    const unlock = await place.replicas.operator.run(['unlock', '--user', `corp:${name}`]);
    expect(unlock).toMatchObject({ code: 0, stderr: '' });
    expect(await statusOf(name, right)).toBe(201);
  });
});

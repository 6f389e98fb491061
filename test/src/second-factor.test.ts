import { randomBytes } from 'node:crypto';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginAnswer } from './testing/ask-login.ts';
import { type AuditLine, readTrailSoFar } from './testing/audit-trail.ts';
import { appCode } from './testing/authenticator-app.ts';
import {
  beginLogin,
  codeOf,
  codeWithPassword,
  confirmLogin,
  createFormBrowser,
  formTokenOf,
  redeemCode,
  sendPassword,
  stepOf,
  titleOf,
  tokenOf,
} from './testing/browser-login.ts';
import {
  type EnrolledUser,
  factorKey,
  writeFactor,
  writeInvitation,
} from './testing/factor-records.ts';
import type { Gateway } from './testing/gateway.ts';
import { type LoginPlace, startLogin } from './testing/login-gateway.ts';

type Person = LoginPlace['people']['alice'];

const mustGroup = 'k8s-must';
const maxFailures = 3;

let factors: RedisServer;
/** Members of one group must have a second factor. */
let place: LoginPlace;
let gateways: readonly [Gateway, Gateway];
beforeAll(async () => {
  factors = await startRedis();
  place = await startLogin({
    count: 2,
    // Passwords are not asked for in reviews.
    entry: { reviews: false },
    login: {
      browser: true,
      revalidate: '1s',
      maxSessions: 100,
      limits: { perAddress: '10000/m' },
      trustedProxies: ['127.0.0.9'],
    },
    secondFactor: {
      required: { groups: [`corp:${mustGroup}`] },
      methods: ['totp', 'passkey'],
      redis: { url: factors.url },
    },
    more: { audit: { output: 'audit.log' }, lockout: { maxFailures, window: '1h' } },
  });
  gateways = place.replicas.gateways as [Gateway, Gateway];
  await place.people.add('first', mustGroup);
});
afterAll(async () => {
  await place[Symbol.asyncDispose]();
  await factors[Symbol.asyncDispose]();
});

/** Adds a person to the group whose members must have a second factor. */
async function join({ dn }: Person): Promise<void> {
  const { slapd } = place.people;
  const group = `cn=${mustGroup},ou=groups,${slapd.suffix}`;
  await slapd.modify(`dn: ${group}\nchangetype: modify\nadd: member\nmember: ${dn}\n`);
}
/** Adds a person who must have a second factor. */
async function required(name: string): Promise<Person> {
  const person = await place.people.add(name);
  await join(person);
  return person;
}
/** The sealing key of the config, in base64. */
const configKey = () => place.replicas.operator.env.SALLYPORT_CACHE_KEY ?? '';
const enrol = (person: Person, key = configKey()): Promise<EnrolledUser> =>
  writeFactor(factors, key, person);
const invite = (person: Person) => writeInvitation(factors, configKey(), person);

/** What an attacker may write to the Redis of second factors. */
interface Records {
  readonly key: string;
  readonly own: string;
  readonly ofOther: string;
  readonly otherKey: string;
}

/** Logs in at a terminal. @param at which gateway is asked */
const logIn = ({ name, password }: Person, code?: string, at = 0): Promise<LoginAnswer> =>
  place.ask({ body: { username: name, password, cluster: 'prod', ...(code && { code }) } }, at);

async function isAccepted(token: string): Promise<readonly boolean[]> {
  return (await place.reviews(token)).map(({ authenticated }) => authenticated);
}

/** The lines of the audit trails of all gateways about a user. */
async function trailOf({ name }: Pick<Person, 'name'>): Promise<readonly AuditLine[]> {
  const all = await Promise.all(gateways.map(({ folder }) => readTrailSoFar(folder)));
  return all.flat().filter(({ username, subject }) => [username, subject].includes(`corp:${name}`));
}

/** What a login server answers, without what differs each time. */
const answer = ({ status, json }: LoginAnswer) => [status, json?.code];
const required401 = [401, 'second-factor-required'];
const notEnrolled = [401, 'second-factor-not-enrolled'];
const wrong = [401, 'wrong-credentials'];
const unavailable = [503, 'unavailable'];

/** Tries every page after the password, as an attacker who knows the password does. @returns the answers, none with a session */
async function attackPages(person: Person, at: number): Promise<readonly LoginAnswer[]> {
  const way = { ask: place.ask, at };
  const [login, browser] = [await beginLogin(way, { port: 40_000 }), createFormBrowser(way)];
  const form = formTokenOf(await browser.get(login.path));
  const pages: LoginAnswer[] = [
    await browser.post(`${login.path}/password`, {
      form,
      username: person.name,
      password: person.password,
    }),
  ];
  const proved = browser.at(login.path);
  const asked = await browser.get(`${proved}/factor`);
  const values = { form: asked.status === 200 ? formTokenOf(asked) : form };
  for (const path of new Set([login.path, proved])) {
    for (const page of ['confirm', 'factors', 'factor'])
      pages.push(await browser.get(`${path}/${page}`));
    for (const answer of ['code', 'redirect'])
      pages.push(await browser.post(`${path}/confirm`, { ...values, answer }));
    for (const action of ['app', 'recovery', 'passkey', 'remove'])
      pages.push(await browser.post(`${path}/factors`, { ...values, action }));
    pages.push(
      await browser.post(`${path}/factor`, { ...values, code: '' }),
      await browser.post(`${path}/passkey`, { ...values, response: '{}' }),
    );
  }
  pages.push(await redeemCode(way, 'A'.repeat(16), login.verifier));
  for (const page of pages) {
    expect(page.text).not.toMatch(/id="code" value/);
    expect(page.headers.location ?? '').not.toMatch(/code=|^http:/);
    expect(page.json?.token).toBeUndefined();
    expect(() => codeOf(page)).toThrow('there is no code');
  }
  return pages;
}

/** Changes `login.secondFactor` of all gateways for the time of a test. */
async function withRequired(value: unknown, work: () => Promise<void>): Promise<void> {
  const login = place.config.login as { readonly secondFactor: object };
  const secondFactor = { ...login.secondFactor, required: value };
  try {
    await reconfigure({ ...place.config, login: { ...login, secondFactor } });
    await work();
  } finally {
    await reconfigure(place.config);
  }
}

async function reconfigure(config: Record<string, unknown>): Promise<void> {
  for (const gateway of gateways) {
    await gateway.configure(config);
    await gateway.reload();
  }
}

describe.concurrent('a user who must have a second factor', () => {
  test('is refused with the password alone, at a terminal and on the pages of each replica', async () => {
    const [enrolled, other] = [await required('enrolled'), await required('other')];
    const app = await enrol(enrolled);
    for (const at of [0, 1]) {
      const asked = await logIn(enrolled, undefined, at);
      expect([...answer(asked), asked.json?.methods]).toEqual([...required401, ['totp']]);
      expect(answer(await logIn(other, undefined, at))).toEqual(notEnrolled);
      expect(answer(await logIn(other, '123456', at))).toEqual(notEnrolled);
      const [password] = await attackPages(enrolled, at);
      expect([password?.status, password?.headers.location]).toEqual([
        303,
        expect.stringMatching(/\/factor$/),
      ]);
      const [refused] = await attackPages(other, at);
      expect(refused?.status).toBe(401);
    }
    // The attacks have used up nothing of the owner.
    expect(answer(await logIn(enrolled, await app.code()))).toEqual([201, undefined]);
    const reasons = new Set((await trailOf(other)).map(({ reason }) => reason));
    expect(reasons).toContain('second-factor-not-enrolled');
  });

  test('is accepted with the code, at a terminal and on the page, and the trail says how', async () => {
    const person = await required('owner');
    const app = await enrol(person);
    const token = tokenOf(await logIn(person, await app.code()));
    expect(await isAccepted(token)).toEqual([true, true]);
    const login = await beginLogin(place);
    const browser = createFormBrowser(place);
    await sendPassword(browser, login, person);
    const factor = `${browser.at(login.path)}/factor`;
    const form = formTokenOf(await browser.get(factor));
    const [code = ''] = app.recoveryCodes;
    const proved = await browser.post(factor, { form, code });
    expect([proved.status, stepOf(proved)]).toEqual([303, 'confirm']);
    const given = codeOf(await confirmLogin(browser, login));
    const session = tokenOf(await redeemCode(place, given, login.verifier));
    expect(await isAccepted(session)).toEqual([true, true]);
    const logins = (await trailOf(person)).filter(({ amr }) => amr !== undefined);
    expect(logins.map(({ amr }) => amr)).toContainEqual(['pwd', 'otp', 'mfa']);
    expect(logins.map(({ factor }) => factor)).toContain('totp');
  });

  test('is no user of a review by name and password', async () => {
    const [member, free] = [await required('bearer'), await place.people.add('bearer-free')];
    await enrol(member);
    for (const { token } of [member, free]) expect(await isAccepted(token)).toEqual([false, false]);
  });

  test.each([
    { state: 'moved', write: ({ key, ofOther }) => factors.client().set(key, ofOther) },
    { state: 'of another key', write: ({ key, otherKey }) => factors.client().set(key, otherKey) },
    { state: 'garbage', write: ({ key }) => factors.client().set(key, 'null') },
    { state: 'plain JSON', write: ({ key }) => factors.client().set(key, '{"totp":[]}') },
    { state: 'cut off', write: ({ key, own }) => factors.client().set(key, own.slice(0, 80)) },
    { state: 'empty', write: ({ key }) => factors.client().set(key, '') },
    { state: 'a hash', write: ({ key }) => factors.client().hset(key, 'x', 'y') },
    { state: 'a list', write: ({ key, own }) => factors.client().lpush(key, own) },
    { state: 'lost', write: ({ key }) => factors.client().del(key) },
  ] as readonly { state: string; write: (records: Records) => Promise<unknown> }[])(
    'is refused for a record that is $state, with whatever code',
    async ({ state, write }) => {
      const name = state.replaceAll(' ', '-');
      const [person, other] = [await required(name), await required(`${name}-2`)];
      const [app, foreign] = [await enrol(person), await enrol(other)];
      const client = factors.client();
      const [key, text] = [factorKey(person), async () => (await client.get(key)) ?? ''];
      const own = await text();
      const elsewhere = await enrol(person, randomBytes(32).toString('base64'));
      const records = {
        key,
        own,
        ofOther: (await client.get(factorKey(other))) ?? '',
        otherKey: await text(),
      };
      const codes = [app, foreign, elsewhere].map((one) => one.code());
      const all = [undefined, ...(await Promise.all(codes)), foreign.recoveryCodes[0]];
      await client.del(key);
      await write(records);
      // One by one: on a busy machine, some logins of one user at the same moment get 503.
      for (const [at, code] of all.entries())
        expect(answer(await logIn(person, code, at % 2))).toEqual(notEnrolled);
      expect((await attackPages(person, 0))[0]?.status).toBe(401);
      await client.del(key);
      await client.set(key, own);
      expect(answer(await logIn(person, await app.code()))).toEqual([201, undefined]);
    },
  );

  test('or need not, but has one, is refused for a foreign record, and has none if it is lost', async () => {
    const [person, other] = [await place.people.add('free'), await required('member')];
    const [app, foreign] = [await enrol(person), await enrol(other)];
    expect(answer(await logIn(person))).toEqual(required401);
    expect((await attackPages(person, 1))[0]?.headers.location).toMatch(/\/factor$/);
    const client = factors.client();
    await client.copy(factorKey(other), factorKey(person), 'REPLACE');
    for (const code of [undefined, await app.code(), await foreign.code()])
      expect(answer(await logIn(person, code))).toEqual(notEnrolled);
    const { operator } = place.replicas;
    const reset = await operator.run(['factor', 'reset', '--user', 'corp:free', '--by', 'root']);
    expect([reset.code, reset.stdout]).toEqual([
      0,
      expect.stringContaining('The password alone is enough to log in now.'),
    ]);
    expect(answer(await logIn(person))).toEqual([201, undefined]);
    await enrol(person);
    await client.del(factorKey(person));
    expect(answer(await logIn(person))).toEqual([201, undefined]);
  });

  test('is refused with a code of a clock that is ten minutes off', async () => {
    const person = await required('late');
    const app = await enrol(person);
    for (const seconds of [-600, 600])
      expect(answer(await logIn(person, await app.code(seconds)))).toEqual(wrong);
    expect(answer(await logIn(person, await app.code()))).toEqual([201, undefined]);
  });

  test('loses a session from before when they join the group, at the next revalidation', async () => {
    const [person, enrolled] = [await place.people.add('joins'), await place.people.add('joins-2')];
    const app = await enrol(enrolled);
    const token = tokenOf(await logIn(person));
    const proven = tokenOf(await logIn(enrolled, await app.code()));
    expect([await isAccepted(token), await isAccepted(proven)]).toEqual(
      Array(2).fill([true, true]),
    );
    await join(person);
    await join(enrolled);
    await waitFor(async () => !(await isAccepted(token)).includes(true), 'the session to end');
    expect(await isAccepted(proven)).toEqual([true, true]);
    expect(answer(await logIn(person))).toEqual(notEnrolled);
    const reasons = (await trailOf(person)).map(({ reason }) => reason);
    expect(reasons).toContain('second-factor');
    const explained = await place.replicas.operator.run(['explain', '--user', 'corp:joins']);
    expect(explained.stdout).toContain('\n1 session was made without the second factor');
    const list = ['token', 'list', '--authenticator', 'sessions', '--user', 'corp:joins'];
    expect(await place.replicas.operator.json(...list)).toMatchObject({
      tokens: [{ state: 'good, unless a second factor is required' }],
    });
  });
});

describe.concurrent('a code', () => {
  test('is accepted once, whichever replica gets it again', async () => {
    const person = await required('once');
    const app = await enrol(person);
    const codes = [await app.code(), app.recoveryCodes[0] ?? ''];
    for (const [index, code] of codes.entries()) {
      expect(answer(await logIn(person, code, index))).toEqual([201, undefined]);
      expect(answer(await logIn(person, code, 1 - index))).toEqual(wrong);
      expect(answer(await logIn(person, code, index))).toEqual(wrong);
    }
  });

  test('that two replicas get at one moment is accepted by one', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((letter) => `twice-${letter}`);
    const rounds = names.map(async (name) => {
      const person = await required(name);
      const app = await enrol(person);
      // After three wrong codes, no one is compared.
      for (const code of [await app.code(), ...app.recoveryCodes.slice(0, 2)]) {
        const answers = await Promise.all([0, 1].map((at) => logIn(person, code, at)));
        const [first, second] = answers.map(({ status }) => status).toSorted();
        expect(first).toBe(201);
        // On a busy machine, the other one may be answered before its code is compared.
        expect([401, 503]).toContain(second);
      }
    });
    await Promise.all(rounds);
  });
});

describe.concurrent('adding an app', () => {
  const ask = ({ name, password }: Person, more: object, at = 0) =>
    place.ask({ path: '/v1/factors', body: { username: name, password, ...more } }, at);
  const finish = (begun: LoginAnswer, code: string, at = 0) =>
    place.ask({ path: '/v1/factors', body: { enrolment: begun.json?.enrolment, code } }, at);
  const codeFrom = ({ json }: LoginAnswer, seconds = 0) =>
    appCode(secret(String(json?.secret)), seconds);

  test('takes an invitation and the first code, on whichever replicas; the invitation is used up', async () => {
    const person = await required('invited');
    const invitation = await invite(person);
    const [begun, second] = [
      await ask(person, { invitation }),
      await ask(person, { invitation }, 1),
    ];
    expect([begun.status, second.status]).toEqual([200, 200]);
    expect(answer(await logIn(person))).toEqual(notEnrolled);
    // Its step, and the time until the gateway has it, keep it near 10 minutes.
    const behind = await finish(begun, await codeFrom(begun, -590));
    expect([...answer(behind), behind.json?.message]).toEqual([
      401,
      'wrong-code',
      expect.stringContaining('about 10m behind'),
    ]);
    const code = await codeFrom(begun);
    const added = await finish(begun, code, 1);
    expect(added.status).toBe(201);
    const { recoveryCodes } = added.json as { readonly recoveryCodes: readonly string[] };
    recoveryCodes.map(secret);
    expect(recoveryCodes).toHaveLength(10);
    // Both enrolments had the same invitation.
    expect(answer(await finish(second, await codeFrom(second)))).toEqual([409, 'enrolment-ended']);
    expect(answer(await ask(person, { invitation }))).toEqual([401, 'wrong-invitation']);
    // The first code was used up.
    expect(answer(await logIn(person, code))).toEqual(wrong);
    expect(answer(await logIn(person, recoveryCodes[0], 1))).toEqual([201, undefined]);
    expect(answer(await logIn(person, await codeFrom(begun, 30)))).toEqual([201, undefined]);
    const trail = await trailOf(person);
    expect(trail.find(({ invitedBy }) => invitedBy === 'root')).toMatchObject({ factor: 'totp' });
  });

  test('takes more than the password: no invitation of others, and no password of others', async () => {
    const [person, other] = [await required('alone'), await required('invited-other')];
    const invitation = await invite(other);
    expect(answer(await ask(person, {}))).toEqual([401, 'invitation-required']);
    for (const given of [invitation, randomToken()])
      expect(answer(await ask(person, { invitation: given }))).toEqual([401, 'wrong-invitation']);
    expect(answer(await ask({ ...other, password: person.password }, { invitation }))).toEqual(
      wrong,
    );
    const app = await enrol(person);
    expect(answer(await ask(person, {}))).toEqual(required401);
    expect(answer(await ask(person, { invitation }))).toEqual([401, 'wrong-invitation']);
    const [code] = app.recoveryCodes;
    expect((await ask(person, { code })).status).toBe(200);
    expect(answer(await ask(person, { code }))).toEqual(wrong);
    expect((await ask(other, { invitation })).status).toBe(200);
  });

  test('on a page takes the same invitation in a link, which opening does not use up', async () => {
    const person = await required('linked');
    const invitation = await invite(person);
    const visit = async (path: string) => {
      const browser = createFormBrowser(place);
      const { headers } = await browser.get(path);
      const attempt = String(headers.location);
      secret(attempt.slice('/login/'.length));
      return { browser, attempt, sent: await sendPassword(browser, { path: attempt }, person) };
    };
    await createFormBrowser(place).get(`/login/factors/${invitation}`);
    const uninvited = await visit('/login/factors');
    expect([uninvited.sent.status, titleOf(uninvited.sent)]).toEqual([401, 'Invitation required']);
    expect((await uninvited.browser.get(`${uninvited.attempt}/factors`)).status).toBe(303);
    const { browser, sent, ...begun } = await visit(`/login/factors/${invitation}`);
    expect([sent.status, stepOf(sent)]).toEqual([303, 'factors']);
    const attempt = browser.at(begun.attempt);
    const form = formTokenOf(await browser.get(`${attempt}/factors`));
    const shown = await browser.post(`${attempt}/factors`, { form, action: 'app', label: 'phone' });
    const [, key = ''] = /secret=([A-Z2-7]{32})/.exec(shown.text) ?? [];
    const [, enrolment = ''] = /name="enrolment" value="([^"]+)"/.exec(shown.text) ?? [];
    const send = async (code: string) =>
      browser.post(`${attempt}/factors`, { form, action: 'app-code', enrolment, code });
    expect((await send('wrong1')).status).toBe(401);
    const added = await send(await appCode(secret(key)));
    expect(added.status).toBe(200);
    const codes = added.text.split('<body')[1]?.match(/\b[a-z2-7]{5}-[a-z2-7]{5}\b/g) ?? [];
    codes.map(secret);
    expect(codes).toHaveLength(10);
    expect(answer(await logIn(person, codes[0]))).toEqual([201, undefined]);
    // A visit is no login: it confirms nothing, and no client gets a session from it.
    for (const reply of ['code', 'redirect']) {
      const confirmed = await browser.post(`${attempt}/confirm`, { form, answer: reply });
      expect([confirmed.status, confirmed.headers.location]).toEqual([303, `${attempt}/factors`]);
    }
    expect((await visit(`/login/factors/${invitation}`)).sent.headers.location).not.toMatch(
      /factors$/,
    );
  });

  test('and a login that was begun end when an administrator resets the factors', async () => {
    const person = await required('reset');
    const app = await enrol(person);
    const [first = '', second = '', third = ''] = app.recoveryCodes;
    const token = tokenOf(await logIn(person, first));
    const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
    await sendPassword(browser, login, person);
    const factor = `${browser.at(login.path)}/factor`;
    const form = formTokenOf(await browser.get(factor));
    await browser.post(factor, { form, code: second });
    const code = codeOf(await confirmLogin(browser, login));
    const begun = await ask(person, { code: third });
    expect(begun.status).toBe(200);
    const { operator } = place.replicas;
    const done = await operator.run(['factor', 'reset', '--user', 'corp:reset', '--by', 'root']);
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(done.stdout).toContain("can't log in until they have used a new invitation.");
    expect(await isAccepted(token)).toEqual([false, false]);
    for (const at of [0, 1])
      expect((await redeemCode({ ask: place.ask, at }, code, login.verifier)).status).toBe(401);
    expect(answer(await finish(begun, await codeFrom(begun)))).toEqual([409, 'enrolment-ended']);
    expect(answer(await logIn(person, await app.code()))).toEqual(notEnrolled);
  });
});

describe('after a reload that requires a second factor of all', () => {
  test('what was begun before is not finished, and what was there before ends', async () => {
    const [person, enrolled] = [await place.people.add('before'), await place.people.add('proven')];
    const app = await enrol(enrolled);
    const token = tokenOf(await logIn(person));
    const proven = tokenOf(await logIn(enrolled, await app.code()));
    const begun = await codeWithPassword(place, person);
    const [open, browser] = [await beginLogin(place), createFormBrowser(place)];
    expect((await sendPassword(browser, open, person)).headers.location).toMatch(/\/confirm$/);
    expect(await isAccepted(token)).toEqual([true, true]);
    await withRequired('all', async () => {
      for (const at of [0, 1]) {
        const way = { ask: place.ask, at };
        expect(answer(await redeemCode(way, begun.code, begun.verifier)).at(0)).toBe(401);
      }
      const confirmed = await confirmLogin(browser, open);
      const redeemed = await redeemCode(place, codeOf(confirmed), open.verifier);
      expect([redeemed.status, redeemed.json?.token]).toEqual([401, undefined]);
      expect(await isAccepted(token)).toEqual([false, false]);
      expect(await isAccepted(proven)).toEqual([true, true]);
      expect(answer(await logIn(person))).toEqual(notEnrolled);
      const reasons = (await trailOf(person)).map(({ reason }) => reason);
      expect(reasons).toContain('second-factor');
    });
    // It was refused, and is not revoked.
    expect(await isAccepted(token)).toEqual([true, true]);
  });
});

describe('while the Redis of second factors', () => {
  test('is down, no one is logged in without a factor, and sessions go on', async () => {
    const [person, free] = [await required('outage'), await place.people.add('outage-free')];
    const app = await enrol(person);
    const token = tokenOf(await logIn(person, await app.code()));
    await factors.stop();
    try {
      for (const one of [person, free]) {
        expect(answer(await logIn(one))).toEqual(unavailable);
        expect(answer(await logIn(one, '123456'))).toEqual(unavailable);
        expect((await attackPages(one, 1))[0]?.status).toBe(503);
      }
      // Only a right password finds out that it is down.
      expect(answer(await logIn({ ...person, password: randomToken() }))).toEqual(wrong);
      expect(await isAccepted(token)).toEqual([true, true]);
    } finally {
      await factors.start();
    }
    for (const at of [0, 1]) {
      const works = async () => (await logIn(free, undefined, at)).status === 201;
      await waitFor(works, `logins at gateway ${at} to work again`);
    }
    const [code] = app.recoveryCodes;
    expect(answer(await logIn(person, code))).toEqual([201, undefined]);
  });

  test('has lost everything, members of the group are refused until they are invited again', async () => {
    const person = await required('flushed');
    const app = await enrol(person);
    await factors.client().flushall();
    for (const code of [undefined, await app.code(), app.recoveryCodes[0]])
      for (const at of [0, 1]) expect(answer(await logIn(person, code, at))).toEqual(notEnrolled);
  });
});

describe('guesses of codes by someone who has the password', () => {
  test('are compared maxFailures times, from whichever addresses and at whichever replica', async () => {
    const [person, other] = [await required('guessed'), await required('bystander')];
    const [app, others] = [await enrol(person), await enrol(other)];
    const { name: username, password } = person;
    const guess = (code: string, index: number) =>
      place.ask(
        {
          body: { username, password, cluster: 'prod', code },
          localAddress: '127.0.0.9',
          headers: { 'x-forwarded-for': `198.51.100.${index}` },
        },
        index % 2,
      );
    const from = gateways.map(({ output }) => output.lines.length);
    // With a letter, none is right by chance.
    const guesses = Array.from({ length: 40 }, (_, index) => `wrong${index}`);
    const answers = await Promise.all(guesses.map(guess));
    expect(answers.filter(({ status }) => status === 201)).toEqual([]);
    const logins = async () => (await trailOf(person)).filter(({ event }) => event === 'login');
    // The others found the user busy: 503.
    const decided = answers.filter(({ status }) => status === 401);
    const areWritten = async () => (await logins()).length >= decided.length;
    await waitFor(areWritten, 'the refused guesses in the audit trail');
    const compared = (await logins()).filter(
      ({ reason }) => reason === 'second-factor-invalid-credentials',
    );
    // A replica that got no CPU for longer than the timeout takes Redis for down, and counts for itself from then on.
    const alone = gateways.filter(({ output }, at) =>
      output.lines
        .slice(from[at])
        .some(({ msg }) => msg.startsWith('circuit of the cache Redis opened')),
    );
    expect(compared.length).toBeGreaterThanOrEqual(maxFailures);
    expect(compared.length).toBeLessThanOrEqual(maxFailures * (1 + alone.length));
    // The owner is kept out too, by each of their ways; others are not.
    for (const code of [await app.code(), app.recoveryCodes[0]])
      expect(answer(await logIn(person, code, 1))).toEqual(wrong);
    expect(answer(await logIn(other, await others.code()))).toEqual([201, undefined]);
    const unlocked = await place.replicas.operator.run(['unlock', '--user', `corp:${username}`]);
    expect([unlocked.code, unlocked.stderr]).toEqual([0, '']);
    expect(answer(await logIn(person, secret(app.recoveryCodes[0] ?? '')))).toEqual([
      201,
      undefined,
    ]);
  });
});

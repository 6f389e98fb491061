import { randomToken } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { sealedAttempt } from './sealed-attempt.ts';
import {
  type BegunLogin,
  beginLogin,
  codeOf,
  codeWithPassword,
  confirmLogin,
  createFormBrowser,
  type FormBrowser,
  formTokenOf,
  redeemCode,
  sendPassword,
  stepOf,
  titleOf,
  tokenOf,
} from './testing/browser-login.ts';
import { clusters, publicHost } from './testing/login-gateway.ts';
import { shareLogin } from './testing/shared-login.ts';

const place = await shareLogin();

/** The headers of a form that is not of our own page. */
const foreign: readonly (readonly [
  what: string,
  headers: Readonly<Record<string, string | undefined>>,
])[] = [
  ['without an Origin', { origin: undefined }],
  ['of another site', { origin: 'https://evil.example.com', 'sec-fetch-site': 'cross-site' }],
  [
    'of another site in an old browser',
    { origin: 'https://evil.example.com', 'sec-fetch-site': undefined },
  ],
  ['of a page without an origin', { origin: 'null' }],
  ['of our host without TLS', { origin: `http://${publicHost}` }],
  ['of another port', { origin: `https://${publicHost}:8444` }],
  ['of a host that begins like ours', { origin: `https://${publicHost}.evil.example.com` }],
  ['of a sibling', { origin: 'https://wiki.example.com', 'sec-fetch-site': 'same-site' }],
  ['that claims our Origin from another site', { 'sec-fetch-site': 'cross-site' }],
  ['that claims our Origin from a sibling', { 'sec-fetch-site': 'same-site' }],
  ['that claims our Origin from nowhere', { 'sec-fetch-site': 'none' }],
  ['without cookies', { cookie: undefined }],
  ['with a cookie of its own making', { cookie: `__Host-sallyport-${'a'.repeat(16)}=x` }],
];

/** The content types that a form of another site can have. All others need the consent of our server. */
const types = ['text/plain', 'multipart/form-data; boundary=x', 'application/json'];

async function expectNotLoggedIn(browser: FormBrowser, { path }: BegunLogin): Promise<void> {
  const { status, headers } = await browser.get(`${path}/confirm`);
  expect([status, headers.location]).toEqual([303, path]);
}

describe.concurrent('a form', () => {
  test('with a password is taken from our own page alone, and no other reaches the directory', async () => {
    const { people } = place;
    const person = await people.add('forms');
    const [login, other, browser] = [
      await beginLogin(place),
      await beginLogin(place),
      createFormBrowser(place),
    ];
    const form = formTokenOf(await browser.get(login.path));
    const strange = [
      undefined,
      '',
      randomToken(32),
      formTokenOf(await browser.get(other.path)),
      formTokenOf(await createFormBrowser(place).get(login.path)),
    ];
    const values = { username: person.name, password: person.password };
    const path = `${login.path}/password`;
    for (const [what, headers] of foreign) {
      const answer = await browser.post(path, { ...values, form }, headers);
      expect([what, answer.status, answer.headers.location]).toEqual([what, 403, undefined]);
    }
    for (const one of strange) {
      const answer = await browser.post(path, {
        ...values,
        ...(one !== undefined && { form: one }),
      });
      expect([answer.status, titleOf(answer)]).toEqual([403, 'Page out of date']);
    }
    for (const type of types) {
      const answer = await browser.post(path, { ...values, form }, { 'content-type': type });
      expect([type, answer.status]).toEqual([type, 415]);
    }
    // A link can't send a password either.
    expect((await browser.get(`${path}?form=${form}`)).status).toBe(405);
    await expectNotLoggedIn(browser, login);
    expect((await people.slapd.operations()).bindsByDn.get(person.dn)).toBeUndefined();
    expect(stepOf(await browser.post(path, { ...values, form }))).toBe('confirm');
  });

  test('with the confirmation is taken from our own page alone, and no other makes or ends anything', async () => {
    const person = await place.people.add('confirms');
    const [login, browser] = [await beginLogin(place, { port: 50_123 }), createFormBrowser(place)];
    await sendPassword(browser, login, person);
    const path = `${browser.at(login.path)}/confirm`;
    const form = formTokenOf(await browser.get(path));
    for (const answer of ['redirect', 'code', 'cancel']) {
      for (const [what, headers] of foreign) {
        const refused = await browser.post(path, { form, answer }, headers);
        expect([what, refused.status, refused.headers.location]).toEqual([what, 403, undefined]);
      }
      for (const one of [randomToken(32), '']) {
        expect((await browser.post(path, { form: one, answer })).status).toBe(403);
      }
      for (const type of types) {
        const refused = await browser.post(path, { form, answer }, { 'content-type': type });
        expect([type, refused.status]).toEqual([type, 415]);
      }
    }
    for (const answer of ['', 'Redirect', 'http://evil.example.com/']) {
      const refused = await browser.post(path, { form, answer });
      expect([answer, refused.status, refused.headers.location]).toEqual([answer, 400, undefined]);
    }
    const code = codeOf(await browser.post(path, { form, answer: 'redirect' }));
    tokenOf(await redeemCode(place, code, login.verifier));
  });
});

describe.concurrent('another browser', () => {
  test('can neither continue a login nor confirm one, with no cookie, its own or the cookie of another login', async () => {
    const { people } = place;
    const person = await people.add('browser-victim');
    const [login, own, victim] = [
      await beginLogin(place),
      await beginLogin(place),
      createFormBrowser(place),
    ];
    await sendPassword(victim, login, person);
    // It knows the URL, and has a login of its own, in which someone has logged in as well.
    const attacker = createFormBrowser(place);
    await sendPassword(attacker, own, await people.add('browser-attacker'));
    const confirmOwn = formTokenOf(await attacker.get(`${attacker.at(own.path)}/confirm`));
    const [cookie] = [...attacker.cookies.values()];
    // It can't know the path of the confirmation, but might.
    const paths = [login.path, victim.at(login.path)];
    for (const path of paths) {
      for (const at of [0, 1]) {
        const browser = createFormBrowser({ ...place, at });
        const renamed = createFormBrowser({ ...place, at });
        renamed.cookies.set(`__Host-sallyport-${login.id}`, cookie ?? '');
        for (const one of [browser, renamed]) {
          expect((await one.get(`${path}/confirm`)).headers.location).toBe(path);
          const refused = await one.post(`${path}/confirm`, { form: confirmOwn, answer: 'code' });
          expect([refused.status, titleOf(refused)]).toEqual([403, 'Other browser, or no cookies']);
        }
      }
    }
    // With the page of the login it gets a cookie for it, but the person has not logged in there.
    for (const path of paths) {
      const form = formTokenOf(await attacker.get(path));
      expect((await attacker.get(`${path}/confirm`)).headers.location).toBe(path);
      for (const answer of ['code', 'redirect', 'cancel']) {
        const refused = await attacker.post(`${path}/confirm`, { form, answer });
        expect([refused.status, refused.headers.location]).toEqual([409, undefined]);
      }
    }
    const code = codeOf(await confirmLogin(victim, login));
    expect((await redeemCode(place, code, own.verifier)).status).toBe(401);
  });

  test('does not get the cookie of a browser: no page shows it, and no script can read it', async () => {
    const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
    const page = await browser.get(login.path);
    const set = page.headers['set-cookie'] ?? [];
    expect(set).toHaveLength(1);
    expect(set[0]).toMatch(
      new RegExp(
        `^__Host-sallyport-${login.id}=[\\w-]+; Path=/; Max-Age=(600|59\\d); HttpOnly; SameSite=Lax; Secure$`,
      ),
    );
    expect(page.text).not.toContain([...browser.cookies.values()][0]);
    const again = await browser.get(login.path);
    expect(formTokenOf(again)).toBe(formTokenOf(page));
  });
});

test('a login that has expired has no page, no form and no way to a provider, and one that someone forged neither', async () => {
  const person = await place.people.add('expired');
  const now = Date.now();
  const fresh = { path: sealedAttempt(place, now + 600_000) };
  const expired = { path: sealedAttempt(place, now - 1) };
  const browser = createFormBrowser(place);
  const form = formTokenOf(await browser.get(fresh.path));
  const forged = `/login/${randomToken(150)}`;
  for (const path of [expired.path, forged, `${fresh.path}A`, fresh.path.slice(0, -2)]) {
    const values = { form, username: person.name, password: person.password };
    for (const answer of [
      await browser.get(path),
      await browser.get(`${path}/confirm`),
      await browser.get(`${path}/provider/okta`),
      await browser.post(`${path}/password`, values),
      await browser.post(`${path}/confirm`, { form, answer: 'code' }),
    ])
      expect([answer.status, titleOf(answer)]).toEqual([404, 'Login expired']);
  }
  // All of this is because of the time: the other one goes on.
  expect((await sendPassword(browser, fresh, person)).status).toBe(303);
  expect((await browser.get(`${expired.path}/confirm`)).status).toBe(404);
});

describe.concurrent('a code', () => {
  const users = { once: 'code-once', same: 'code-same', burnt: 'code-burnt', place: 'code-place' };
  const refused = { status: 401, json: { code: 'wrong-code' } };
  const codeFor = async (name: string, more?: object) =>
    codeWithPassword(place, await place.people.add(name), more);

  test('is valid once, on whichever replica', async () => {
    const { code, verifier, browser, ...login } = await codeFor(users.once);
    const path = browser.at(login.path);
    const form = formTokenOf(await browser.get(`${path}/confirm`));
    tokenOf(await redeemCode({ ...place, at: 1 }, code, verifier));
    for (const at of [0, 1]) {
      expect(await redeemCode({ ...place, at }, code, verifier)).toMatchObject(refused);
    }
    for (const after of [
      await browser.get(path),
      await browser.post(`${path}/confirm`, { form, answer: 'code' }),
    ])
      expect([after.status, titleOf(after)]).toEqual([409, 'Login already finished']);
  });

  test('makes one session if it is redeemed twice at the same moment, on both replicas', async () => {
    const { people, replicas } = place;
    const person = await people.add(users.same);
    for (let round = 0; round < 3; round += 1) {
      const { code, verifier } = await codeWithPassword(place, person);
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, at) => redeemCode({ ...place, at: at % 2 }, code, verifier)),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(401)]);
    }
    const { tokens } = (await replicas.operator.json(
      'token',
      'list',
      '--user',
      'corp:code-same',
    )) as {
      readonly tokens: readonly unknown[];
    };
    expect(tokens).toHaveLength(3);
  });

  test('is worth nothing without the verifier of its client, and is burnt by another one', async () => {
    const { id, code, verifier } = await codeFor(users.burnt);
    for (const body of [
      { id, code },
      { id, code, verifier: '' },
      { id, code, verifier: verifier.slice(1) },
      { id, code, verifier: [verifier] },
      { id, code, verifier, cluster: 'staging' },
      { id, code, verifier, username: 'alice' },
      { code, verifier },
    ]) {
      expect(await place.ask({ body })).toMatchObject({ status: 400 });
    }
    expect(await redeemCode(place, code, randomToken(32), id)).toMatchObject(refused);
    expect(await redeemCode(place, code, verifier)).toMatchObject(refused);
  });

  test('that is guessed does not end the login', async () => {
    const { code, verifier } = await codeFor('code-guessed');
    const last = code.endsWith('A') ? 'B' : 'A';
    for (const guess of [code.slice(0, -1) + last, code.slice(1), code.slice(0, 16), `${code}A`]) {
      expect(await redeemCode(place, guess, verifier)).toMatchObject(refused);
    }
    // A code for another login of the same person does not fit.
    const other = await codeFor('code-guessed-too');
    expect(await redeemCode(place, other.code, verifier)).toMatchObject(refused);
    tokenOf(await redeemCode(place, other.code, other.verifier));
    tokenOf(await redeemCode(place, code.toLowerCase().replaceAll('-', ' '), verifier));
  });

  test('of a login for one cluster makes no session for another', async () => {
    const { code, verifier } = await codeFor(users.place, { cluster: 'staging' });
    const token = tokenOf(await redeemCode(place, code, verifier));
    for (const status of await place.reviews(token)) {
      expect(status).toEqual({ authenticated: false });
    }
    for (const status of await place.reviews(token, clusters.staging.audience)) {
      expect(status).toMatchObject({ authenticated: true, audiences: [clusters.staging.audience] });
    }
  });

  test('that a further one replaces is valid no more', async () => {
    const { code, verifier, browser, ...login } = await codeFor('code-again');
    const second = codeOf(await confirmLogin(browser, login));
    expect(await redeemCode(place, code, verifier)).toMatchObject(refused);
    tokenOf(await redeemCode(place, second, verifier));
  });
});

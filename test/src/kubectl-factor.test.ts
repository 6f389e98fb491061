import { secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appCode } from './testing/authenticator-app.ts';
import { writeFactor } from './testing/factor-records.ts';
import {
  answer,
  codeQuestion,
  done,
  getNamespaces,
  newDesk,
  typePassword,
} from './testing/kubectl-user.ts';
import { type Desk, type Site, startSite } from './testing/login-client.ts';
import { invite } from './testing/second-factor.ts';

let site: Site;
beforeAll(async () => {
  site = await startSite({
    entry: { reviews: false },
    login: { browser: true },
    secondFactor: { required: 'all' },
  });
});
afterAll(() => site[Symbol.asyncDispose]());

type Terminal = ReturnType<Desk['terminal']>;

const firstCode = 'Code that the app shows now: ';
const invitationQuestion = 'Invitation code (from your administrator): ';

interface Person {
  readonly name: string;
  readonly password: string;
}

/** Reads the secret of a new app from the screen, as people type it. */
async function shownSecret(run: Terminal): Promise<string> {
  await waitFor(() => run.shown().includes(firstCode), 'the secret');
  const [, groups = ''] = /Secret: ([A-Z2-7 ]+)\r\n/.exec(run.shown()) ?? [];
  expect(groups).toMatch(/^([A-Z2-7]{4} ){7}[A-Z2-7]{4}$/);
  return secret(groups.replaceAll(' ', ''));
}

/** Adds an app with an invitation of an administrator. @returns its secret, the code that it used, and the recovery codes */
async function enrol(desk: Desk, person: Person) {
  const run = desk.terminal('kubectl sallyport factor add --label phone');
  await typePassword(run, person);
  await answer(run, invitationQuestion, 'not-the-invitation');
  await answer(run, invitationQuestion, (await invite(site.place, person)).code, 2);
  const app = await shownSecret(run);
  // The clock of this app is ahead. Its step, and the time until the gateway has the code, keep it near 10 minutes.
  await answer(run, firstCode, await appCode(app, 610));
  const used = await appCode(app);
  await answer(run, firstCode, used, 2);
  expect(await run.ended, run.shown()).toBe(0);
  const codes = run.shown().match(/^ {2}[a-z2-7]{5}-[a-z2-7]{5}\r$/gm) ?? [];
  return { app, used, recoveryCodes: codes.map((code) => code.trim()), shown: run.shown() };
}

test('a user adds an app by an invitation, and kubectl goes on with the next code', async () => {
  const { alice } = site.place.people;
  const desk = await newDesk(site);
  const { app, used, recoveryCodes, shown } = await enrol(desk, alice);
  expect(shown).toContain('the invitation is wrong, was used before, or has expired');
  expect(shown).toContain('the clock of the app is about 10m ahead');
  expect(shown).toContain(`added the second factor phone of ${alice.name}\r\n`);
  expect(shown).toContain(`open ${site.url}/login/factors\r\n`);
  expect(new Set(recoveryCodes).size).toBe(10);
  const run = desk.terminal('kubectl get namespaces -o name');
  await typePassword(run, alice);
  await answer(run, codeQuestion, used);
  await answer(run, codeQuestion, await appCode(app, 30), 2);
  expect(await run.ended, run.shown()).toBe(0);
  expect(run.shown()).toContain('Each code works once: wait until your app shows the next one');
  expect(run.shown()).toMatch(/namespace\/default\r\n$/);
  expect(await desk.kubectl(getNamespaces)).toEqual(done);
  const another = desk.terminal('kubectl sallyport factor add --label tablet');
  await typePassword(another, alice);
  await answer(another, codeQuestion, recoveryCodes[0]?.toUpperCase() ?? '');
  await answer(another, firstCode, await appCode(await shownSecret(another)));
  expect(await another.ended, another.shown()).toBe(0);
  expect(another.shown()).toContain('The recovery codes that you have are still valid.');
  // They were on the screen, and must be nowhere else.
  for (const code of recoveryCodes) secret(code);
});

test('a user without a second factor reads how to get one, and a script of a user who has one reads what to use', async () => {
  const { bob } = site.place.people;
  const carol = await site.place.people.add('carol');
  const { redis, replicas } = site.place;
  await writeFactor(redis, replicas.operator.env.SALLYPORT_CACHE_KEY ?? '', carol);
  const desk = await newDesk(site);
  const run = desk.terminal('kubectl sallyport login');
  await typePassword(run, bob);
  expect(await run.ended).toBe(1);
  expect(run.shown()).toContain(
    `${site.url}: this user must have a second factor, and has none that can be used: ask your administrator for an invitation\r\n` +
      '  fix: with an invitation, run: kubectl sallyport factor add\r\n',
  );
  const words = ['login', '--username', carol.name, '--password-stdin'];
  const { code, stdout, stderr } = await desk.sallyport(words, { input: carol.password });
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(
    /this account needs a second factor, which a script can't have\n {2}fix: for CI, .* run: kubectl sallyport login\n$/,
  );
  expect(await desk.sallyport(['token'])).toMatchObject({ code: 1, stdout: '' });
});

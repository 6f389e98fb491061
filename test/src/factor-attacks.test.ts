import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginAnswer } from './testing/ask-login.ts';
import { appCode } from './testing/authenticator-app.ts';
import {
  beginLogin,
  createFormBrowser,
  formTokenOf,
  sendPassword,
  stepOf,
  titleOf,
} from './testing/browser-login.ts';
import { writeFactor, writeInvitation } from './testing/factor-records.ts';
import { type LoginPlace, startLogin } from './testing/login-gateway.ts';

type Person = LoginPlace['people']['alice'];

const maxFailures = 3;

let factors: RedisServer;
let place: LoginPlace;
beforeAll(async () => {
  factors = await startRedis();
  place = await startLogin({
    count: 2,
    login: { browser: true, limits: { perAddress: '10000/m', inFlight: 500 } },
    secondFactor: { required: 'all', redis: { url: factors.url } },
    more: { lockout: { maxFailures, window: '1h' } },
  });
});
afterAll(async () => {
  await place[Symbol.asyncDispose]();
  await factors[Symbol.asyncDispose]();
});

const sealingKey = () => place.replicas.operator.env.SALLYPORT_CACHE_KEY ?? '';
const invite = (person: Person) => writeInvitation(factors, sealingKey(), person);
/** Adds a person who has an app and recovery codes. */
async function enrolled(name: string) {
  const person = await place.people.add(name);
  return { person, app: await writeFactor(factors, sealingKey(), person) };
}

/** Sends a code. @returns `accepted`, `refused`, or `unchecked` by a replica that is busy with others */
type SendCode = (code: string) => Promise<'accepted' | 'refused' | 'unchecked'>;

function outcomeOf({ status }: LoginAnswer, isAccepted: boolean) {
  if (isAccepted) return 'accepted';
  if (status === 503) return 'unchecked';
  // A page whose login has gone on sends the browser back.
  if (status === 401 || status === 303) return 'refused';
  throw new Error(`a code was answered ${status}`);
}

/** All ways to send a code after the right password, at each replica. */
async function waysOf({ name: username, password }: Person): Promise<readonly SendCode[]> {
  const atPage = async (at: number): Promise<SendCode> => {
    const way = { ask: place.ask, at };
    const [login, browser] = [await beginLogin(way), createFormBrowser(way)];
    await sendPassword(browser, login, { name: username, password });
    const path = `${browser.at(login.path)}/factor`;
    const form = formTokenOf(await browser.get(path));
    return async (code) => {
      const sent = await browser.post(path, { form, code });
      return outcomeOf(sent, stepOf(sent) === 'confirm');
    };
  };
  const all = [0, 1].map(async (at): Promise<readonly SendCode[]> => {
    const send = async (code: string, path: string, more: object) => {
      const answer = await place.ask({ path, body: { username, password, code, ...more } }, at);
      return outcomeOf(answer, answer.status < 300);
    };
    return [
      (code) => send(code, '/v1/sessions', { cluster: 'prod' }),
      (code) => send(code, '/v1/factors', {}),
      await atPage(at),
    ];
  });
  return (await Promise.all(all)).flat();
}

describe.concurrent('a code of a second factor', () => {
  test('that all ways and replicas get concurrently, in several spellings, is accepted once', async () => {
    const { person, app } = await enrolled('once');
    for (const code of [await app.code(), app.recoveryCodes[0] ?? '']) {
      const ways = await waysOf(person);
      const spellings = [code, `${code.slice(0, 3)} ${code.slice(3)}`, ` ${code}-`];
      const sent = ways.flatMap((send) => spellings.map((spelled) => send(spelled)));
      const outcomes = await Promise.all(sent);
      expect(outcomes.filter((outcome) => outcome === 'accepted')).toHaveLength(1);
    }
  });

  test('that is wrong counts for its user, whichever way it came', async () => {
    const [{ person, app }, bystander] = [await enrolled('guessed'), await enrolled('bystander')];
    const ways = await waysOf(person);
    // One at each way, at one replica or the other. With letters, none is right by chance.
    for (const at of [0, 4, 5]) expect(await ways[at]?.(`wrong${at}`)).toBe('refused');
    const right = [await app.code(), ...app.recoveryCodes.slice(0, 5)];
    const outcomes = await Promise.all(ways.map((send, index) => send(right[index] ?? '')));
    expect(outcomes).not.toContain('accepted');
    const [send] = await waysOf(bystander.person);
    expect(await send?.(await bystander.app.code())).toBe('accepted');
    const unlocked = await place.replicas.operator.run(['unlock', '--user', 'corp:guessed']);
    expect([unlocked.code, unlocked.stderr]).toEqual([0, '']);
    expect(await ways[0]?.(right[1] ?? '')).toBe('accepted');
  });
});

describe.concurrent('a refusal', () => {
  /** Does something that is refused. @returns its result, if it took a step of the time that each refusal takes */
  async function inStep<Result>(work: () => Promise<Result>): Promise<Result> {
    const began = performance.now();
    const result = await work();
    expect(performance.now() - began).toBeGreaterThanOrEqual(499);
    return result;
  }

  test('of a password is the same for each name, whichever way it came, and takes half a second', async () => {
    const [{ person }, newcomer] = [await enrolled('timed'), await place.people.add('newcomer')];
    const ask = (path: string, body: object) => async (name: string) => {
      const password = randomToken();
      const { status, json } = await inStep(() =>
        place.ask({ path, body: { username: name, password, ...body } }),
      );
      return [status, json];
    };
    const onPage = async (name: string) => {
      const [login, browser] = [await beginLogin(place), createFormBrowser(place)];
      const wrong = { name, password: randomToken() };
      const answer = await inStep(() => sendPassword(browser, login, wrong));
      return [answer.status, titleOf(answer)];
    };
    const ways: readonly ((name: string) => Promise<readonly unknown[]>)[] = [
      ask('/v1/sessions', { cluster: 'prod' }),
      ask('/v1/factors', {}),
      ask('/v1/factors', { code: '123456' }),
      ask('/v1/factors', { invitation: 'abcdefghijklmnop' }),
      onPage,
    ];
    for (const send of ways) {
      const [unknown, ...known] = await Promise.all(
        ['nobody', person.name, newcomer.name].map(send),
      );
      expect(unknown?.[0]).toBe(401);
      expect(known).toEqual([unknown, unknown]);
    }
  });

  test('of a code takes half a second, whichever way it came', async () => {
    const { person } = await enrolled('timed-code');
    const [terminal, factorsApi, page] = await waysOf(person);
    for (const send of [terminal, factorsApi, page])
      expect(await inStep(async () => send?.('wrong1'))).toBe('refused');
  });
});

test('an app that one user has begun to add is added for that user alone', async () => {
  const [owner, stranger] = [await place.people.add('owner'), await place.people.add('stranger')];
  /** Opens the link of an invitation, and goes on to the own factors. */
  const visit = async (person: Person, invitation: string) => {
    const browser = createFormBrowser(place);
    const path = String((await browser.get(`/login/factors/${invitation}`)).headers.location);
    secret(path.slice('/login/'.length));
    expect(stepOf(await sendPassword(browser, { path }, person))).toBe('factors');
    const factorsPath = `${browser.at(path)}/factors`;
    const form = formTokenOf(await browser.get(factorsPath));
    return (values: Readonly<Record<string, string>>) =>
      browser.post(factorsPath, { form, ...values });
  };
  const invitations = [await invite(owner), await invite(stranger)] as const;
  const [send, sendAsStranger] = [
    await visit(owner, invitations[0]),
    await visit(stranger, invitations[1]),
  ];
  const shown = await send({ action: 'app', label: 'phone' });
  const [, key = ''] = /secret=([A-Z2-7]{32})/.exec(shown.text) ?? [];
  const [, enrolment = ''] = /name="enrolment" value="([^"]+)"/.exec(shown.text) ?? [];
  const code = await appCode(secret(key));
  const values = { action: 'app-code', enrolment, code };
  const stolen = await sendAsStranger(values);
  expect([stolen.status, titleOf(stolen)]).toEqual([409, 'Log in again']);
  // At a terminal, what is sealed says whose it is, and the password of another user changes nothing.
  const { name: username, password } = stranger;
  const named = { username, password, enrolment, code };
  expect((await place.ask({ path: '/v1/factors', body: named })).status).toBe(400);
  const logIn = (person: Person) =>
    place.ask({
      body: { username: person.name, password: person.password, cluster: 'prod' },
    });
  for (const person of [owner, stranger])
    expect((await logIn(person)).json?.code).toBe('second-factor-not-enrolled');
  const added = await send(values);
  expect(added.status).toBe(200);
  for (const recoveryCode of added.text.split('<body')[1]?.match(/\b[a-z2-7]{5}-[a-z2-7]{5}\b/g) ??
    [])
    secret(recoveryCode);
  expect((await logIn(owner)).json?.code).toBe('second-factor-required');
  expect((await logIn(stranger)).json?.code).toBe('second-factor-not-enrolled');
});

import { type HoldingProxy, startHoldingProxy } from '@sallyport/test-servers/holding-proxy';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askLogin, type LoginAnswer } from './testing/ask-login.ts';
import {
  type BrowserPlace,
  beginLogin,
  codeOf,
  confirmLogin,
  createFormBrowser,
  formTokenOf,
  redeemCode,
  sendPassword,
  tokenOf,
} from './testing/browser-login.ts';
import { http1Client, review } from './testing/clients.ts';
import { type EnrolledUser, factorKey, writeTwoApps } from './testing/factor-records.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { clusters, type LoginPlace, loginUrlOf, startLogin } from './testing/login-gateway.ts';
import { scrape } from './testing/scrape.ts';

/** Someone who logs in at the slow gateway, and whose sessions are ended at the other one meanwhile. */
interface Person {
  readonly name: string;
  readonly password: string;
  readonly dn: string;
  readonly app: EnrolledUser;
  /** A session from before. */
  readonly token: string;
}

let [sessions, factors]: RedisServer[] = [];
let place: LoginPlace;
/** It reaches the directory and the session Redis by these proxies alone. */
let slow: Gateway;
let [toDirectory, toSessions]: HoldingProxy[] = [];
const resources = new AsyncDisposableStack();

beforeAll(async () => {
  sessions = resources.use(await startRedis());
  factors = resources.use(await startRedis());
  place = resources.use(
    await startLogin({
      entry: { reviews: false },
      sessions: { url: sessions.url },
      login: { browser: true, maxSessions: 100, limits: { perAddress: '10000/m' } },
      secondFactor: { required: 'all', redis: { url: factors.url } },
    }),
  );
  toDirectory = resources.use(await startHoldingProxy(portOf(place.people.slapd.ldapsUrl)));
  toSessions = resources.use(await startHoldingProxy(portOf(sessions.url)));
  slow = resources.use(await startSlowGateway());
  // It opens its connections.
  const first = await add('first');
  tokenOf(await logIn(atSlow, first, codeOfApp(first, 0)));
});
afterAll(() => resources.disposeAsync());

const portOf = (url: string) => Number(new URL(url).port);
const throughPort = (url: string, { port }: HoldingProxy) => url.replace(/:\d+$/, `:${port}`);

/** Starts a gateway of the same config, but with proxies, for which it waits as long as it can. */
function startSlowGateway(): Promise<Gateway> {
  const { config, people, replicas } = place;
  const [issuer, corp] = config.authenticators as { readonly options: object }[];
  const urls = [throughPort(people.slapd.ldapsUrl, need(toDirectory))];
  const url = throughPort(need(sessions).url, need(toSessions));
  return startGateway({
    config: {
      ...config,
      server: { reviewTimeout: '30s' },
      authenticators: [
        { ...issuer, timeout: '29s', options: { ...issuer?.options, url, commandTimeout: '28s' } },
        { ...corp, timeout: '29s', options: { ...corp?.options, urls, serverTimeout: '28s' } },
      ],
    },
    files: people.files,
    env: replicas.operator.env,
  });
}

function need<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('it has not started');
  return value;
}

const atSlow: BrowserPlace = { ask: (asked) => askLogin(loginUrlOf(slow), asked) };

const codeOfApp = ({ app }: Pick<Person, 'app'>, at: number): string => app.recoveryCodes[at] ?? '';

async function add(name: string): Promise<Person> {
  const person = await place.people.add(name);
  const key = place.replicas.operator.env.SALLYPORT_CACHE_KEY ?? '';
  const app = await writeTwoApps(need(factors), key, person);
  return { ...person, app, token: tokenOf(await logIn(place, person, codeOfApp({ app }, 9))) };
}

type Credentials = Pick<Person, 'name' | 'password'>;
const logIn = ({ ask }: BrowserPlace, person: Credentials, code: string): Promise<LoginAnswer> =>
  ask({ body: { username: person.name, password: person.password, cluster: 'prod', code } });

async function run(...words: readonly string[]): Promise<void> {
  const { code, stderr } = await place.replicas.operator.run([...words, '--wait', '20s']);
  expect([words, code, stderr]).toEqual([words, 0, '']);
}

/** Removes an app of a person on the page of their second factors. */
async function removeApp(person: Person): Promise<void> {
  const browser = createFormBrowser(place);
  const path = String((await browser.get('/login/factors')).headers.location);
  secret(path.slice('/login/'.length));
  await sendPassword(browser, { path }, person);
  const factor = `${browser.at(path)}/factor`;
  const code = codeOfApp(person, 8);
  await browser.post(factor, { form: formTokenOf(await browser.get(factor)), code });
  const factors = `${browser.at(path)}/factors`;
  const form = formTokenOf(await browser.get(factors));
  const removed = await browser.post(factors, { form, action: 'remove', id: 'old' });
  expect(removed.headers.location).toBe(`${factors}?removed`);
  // The person goes on: only other logins have ended.
  expect((await browser.get(`${factors}?removed`)).status).toBe(200);
}

async function logOutEverywhere({ token }: Person): Promise<void> {
  const answer = await place.ask({ method: 'DELETE', path: '/v1/sessions', token });
  expect(answer.json).toEqual({ ended: 1 });
}

const ends: Readonly<Record<string, (person: Person) => Promise<unknown>>> = {
  revoke: ({ name }) => run('revoke', '--user', `corp:${name}`),
  'factor reset': ({ name }) => run('factor', 'reset', '--user', `corp:${name}`),
  block: ({ name }) => run('block', '--user', `corp:${name}`, '--for', '1h'),
  'logout everywhere': logOutEverywhere,
  'removed factor': removeApp,
  'disabled account': ({ dn }) =>
    place.people.slapd.modify(
      `dn: ${dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
    ),
};
const names = Object.keys(ends);
/** A session can be made, but no one can use it. */
const refusedInReviews = ['block', 'disabled account'];

/** What one login of each person does up to where it waits, and from there on. @param at which of their codes they use */
type Step = (
  persons: readonly Person[],
  at: number,
) => Promise<readonly (() => Promise<LoginAnswer>)[]>;

const each =
  (begin: (person: Person, at: number) => Promise<() => Promise<LoginAnswer>>): Step =>
  (persons, at) =>
    Promise.all(persons.map((person) => begin(person, at)));

async function atFactor(person: Person, at: number) {
  const [login, browser] = [await beginLogin(atSlow), createFormBrowser(atSlow)];
  await sendPassword(browser, login, person);
  const factor = `${browser.at(login.path)}/factor`;
  const form = formTokenOf(await browser.get(factor));
  const prove = () => browser.post(factor, { form, code: codeOfApp(person, at) });
  return { ...login, browser, prove };
}

/** Confirms a login and redeems its code, as far as it gets. */
async function finish(login: Awaited<ReturnType<typeof atFactor>>): Promise<LoginAnswer> {
  const page = await login.browser.get(`${login.browser.at(login.path)}/confirm`);
  if (page.status !== 200) return page;
  const confirmed = await confirmLogin(login.browser, login);
  return redeemCode(atSlow, codeOf(confirmed), login.verifier);
}

/** Sends the password and a code at a terminal, and holds what the gateway sends through a proxy then. */
async function holdLogins(
  persons: readonly Person[],
  at: number,
  proxy: HoldingProxy,
  areWaiting: () => boolean | Promise<boolean>,
) {
  proxy.hold();
  const answers = persons.map((person) => logIn(atSlow, person, codeOfApp(person, at)));
  await waitFor(areWaiting, 'all logins to wait');
  return answers.map((answer) => () => answer);
}

async function countLoginsInFlight(): Promise<number> {
  return (await scrape(slow)).value('sallyport_in_flight_login_requests') ?? 0;
}

/** The last two hold what others need to begin. */
const steps = {
  'its code on the page': each(async (person, at) => {
    const login = await atFactor(person, at);
    return async () => {
      const proved = await login.prove();
      return proved.status === 303 ? finish(login) : proved;
    };
  }),
  'its confirmation': each(async (person, at) => {
    const login = await atFactor(person, at);
    expect((await login.prove()).status).toBe(303);
    return () => finish(login);
  }),
  'its client to redeem the code': each(async (person, at) => {
    const login = await atFactor(person, at);
    await login.prove();
    const code = codeOf(await confirmLogin(login.browser, login));
    return () => redeemCode(atSlow, code, login.verifier);
  }),
  'its session to be written': async (persons, at) => {
    const records = () => need(factors).client().mget(persons.map(factorKey));
    const before = await records();
    // All have used up their codes, and the client of Redis sends one of the writes at a time.
    return holdLogins(persons, at, need(toSessions), async () => {
      const now = await records();
      return (
        /zadd/i.test(need(toSessions).held) &&
        now.every((record, index) => record !== before[index])
      );
    });
  },
  'its password to be checked': async (persons, at) => {
    const before = await countLoginsInFlight();
    return holdLogins(
      persons,
      at,
      need(toDirectory),
      async () => (await countLoginsInFlight()) === before + persons.length,
    );
  },
} satisfies Readonly<Record<string, Step>>;

/** Whether a gateway accepts the session of an answer. */
async function isAccepted({ json }: LoginAnswer): Promise<boolean> {
  if (typeof json?.token !== 'string') return false;
  const token = secret(json.token);
  await using client = http1Client(slow.url);
  const { authenticated } = await review(client, token, 'v1', [clusters.prod.audience]);
  const others = await place.reviews(token);
  return [authenticated, ...others.map((status) => status.authenticated)].includes(true);
}

test('a login is ended by what ends the sessions of its user, whatever it waits for', async () => {
  const persons = await Promise.all(names.map((_, at) => add(`waiting${at}`)));
  const waiting: { step: string; goOn: readonly (() => Promise<LoginAnswer>)[] }[] = [];
  try {
    for (const [at, [step, begin]] of Object.entries(steps).entries())
      waiting.push({ step, goOn: await begin(persons, at) });
    await Promise.all(names.map((name, at) => need(ends[name])(need(persons[at]))));
  } finally {
    for (const proxy of [toDirectory, toSessions]) need(proxy).release();
  }
  const results: (readonly [step: string, end: string, isMade: boolean, isAccepted: boolean])[] =
    [];
  for (const { step, goOn } of waiting) {
    const answers = await Promise.all(goOn.map((finishLogin) => finishLogin()));
    for (const [at, name] of names.entries()) {
      const answer = need(answers[at]);
      const isMade = answer.status === 201 && !refusedInReviews.includes(name);
      results.push([step, name, isMade, await isAccepted(answer)]);
    }
  }
  expect(results).toEqual(
    Object.keys(steps).flatMap((step) => names.map((name) => [step, name, false, false])),
  );
});

describe('a session that is stored while a command runs', () => {
  const known = async () => {
    const [gateway] = place.replicas.gateways;
    const { value } = await scrape(need(gateway));
    return value('sallyport_revocations_total{kind="user"}');
  };

  /** Stops the slow gateway, runs a command until the other one knows of the revocation, and then does something before it goes on. */
  async function runWhileStopped(words: readonly string[], work: () => Promise<unknown>) {
    const before = await known();
    slow.signal('SIGSTOP');
    try {
      const done = place.replicas.operator.run([...words, '--wait', '20s']);
      await waitFor(async () => (await known()) !== before, 'the revocation to be known');
      await work();
      slow.signal('SIGCONT');
      return await done;
    } finally {
      slow.signal('SIGCONT');
    }
  }

  test('before all replicas know of the revocation is revoked as well, and counted', async () => {
    const person = await add('late');
    const made: LoginAnswer[] = [];
    const done = await runWhileStopped(['revoke', '--user', 'corp:late'], async () => {
      made.push(await logIn(place, person, codeOfApp(person, 1)));
    });
    expect(made.map(({ status }) => status)).toEqual([201]);
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(done.stdout).toMatch(
      /^1 session revoked\.\nrevoked .*\n1 more revoked: it was made while this command ran\.\n/m,
    );
    expect(await Promise.all(made.map(isAccepted))).toEqual([false]);
  });

  test.each(['revoke', 'factor reset'])(
    'by a replica that was paused right before is not accepted after %s',
    async (command) => {
      const name = command.replace(' ', '-');
      const words = [...command.split(' '), '--user'];
      const person = await add(name);
      const [begun] = await steps['its session to be written']([person], 0);
      const { code } = await runWhileStopped([...words, `corp:${name}`], async () =>
        need(toSessions).release(),
      );
      expect([code, await isAccepted(await need(begun)())]).toEqual([0, false]);
    },
  );
});

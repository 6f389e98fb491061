import { createAuthority } from '@sallyport/test-servers/certificates';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import type {
  BrowserCrowdLogin,
  BrowserCrowdMessage,
  BrowserCrowdResult,
} from './bench/browser-crowd.ts';
import { startWorker } from './bench/worker.ts';
import { http1Client } from './testing/clients.ts';
import { loginUrlOf, publicHost, startLogin } from './testing/login-gateway.ts';
import {
  addPeople,
  address,
  askInPairs,
  type Clients,
  describeRatios,
  describeReviews,
  inFigures,
  kinds,
  type Measured,
  noise,
  type Person,
  slowdown,
} from './testing/login-storm.ts';
import { cpuSeconds } from './testing/process-cpu.ts';

/** The aim: no review takes twice its usual time. */
const aim = 2;
/** The people come in rounds, with a quiet time before each: what else the machine does is the same for both. */
const rounds = 5;
const perRound = 100;
/** People who log in before anything is measured, since the first logins are slower: code is compiled. */
const warmUp = 20;
/** Milliseconds of a round, so that all 500 begin within 10 s, and of a quiet time. */
const duration = 2_000;

const loginOf = ({ name, password }: Person, index: number): BrowserCrowdLogin => ({
  username: name,
  password,
  address: address(index),
});

/** Starts a gateway at which people log in, and another one that shares everything else with it. */
async function start() {
  await using resources = new AsyncDisposableStack();
  const authority = resources.use(await createAuthority('login-authority'));
  const { certificate, key } = await authority.issueServer();
  const robot = randomToken();
  const place = resources.use(
    await startLogin({
      count: 2,
      login: { browser: true, tls: { certFile: 'tls/login.crt', keyFile: 'tls/login.key' } },
      others: [staticAuthenticator],
      files: {
        'tls/login.crt': certificate,
        'tls/login.key': key,
        'tokens.yaml': tokensFile({ [robot]: 'robot' }),
      },
    }),
  );
  const people = await addPeople(place.people, rounds * perRound + warmUp);
  const [busy, quiet] = place.replicas.gateways;
  if (busy === undefined || quiet === undefined) throw new Error('no gateways');
  const crowd = resources.use(
    startWorker<BrowserCrowdMessage, readonly BrowserCrowdResult[]>('browser-crowd.ts'),
  );
  const where = { url: loginUrlOf(busy), ca: authority.certificate, host: publicHost };
  const clients: Clients = {
    busy: resources.use(http1Client(busy.url)),
    quiet: resources.use(http1Client(quiet.url)),
  };
  const owned = resources.move();
  return {
    people,
    robot,
    clients,
    /** The CPU time in seconds that the gateway with the logins has used more than the other one, which has the same reviews. */
    cpu: async () => (await cpuSeconds(busy.pid)) - (await cpuSeconds(quiet.pid)),
    async logIn(logins: readonly BrowserCrowdLogin[]) {
      const results = await crowd.ask({ ...where, cluster: 'prod', logins, duration });
      for (const { token } of results) if (token !== undefined) secret(token);
      return results;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const joined = (all: readonly Measured[]): Measured => ({
  static: all.flatMap((one) => one.static),
  session: all.flatMap((one) => one.session),
});

test('500 people log in on the page within 10 s, no one is lost, and reviews go on', async () => {
  await using started = await start();
  const { people, robot, clients, logIn, cpu } = started;
  const logins = people.map(loginOf);
  const [known] = await logIn(logins.splice(-warmUp));
  const tokens = { static: robot, session: known?.token ?? '' };
  const quietly = { before: [] as Measured[], during: [] as Measured[] };
  const results: BrowserCrowdResult[] = [];
  let cpuOfLogins = 0;
  await askInPairs(clients, tokens, (pairs) => pairs >= 30);
  for (let round = 0; round < rounds; round++) {
    const end = performance.now() + duration;
    quietly.before.push(await askInPairs(clients, tokens, () => performance.now() > end));
    const cpuBefore = await cpu();
    let isOver = false;
    const storm = logIn(logins.splice(0, perRound)).finally(() => {
      isOver = true;
    });
    quietly.during.push(await askInPairs(clients, tokens, () => isOver));
    results.push(...(await storm));
    cpuOfLogins += (await cpu()) - cpuBefore;
  }
  const [before, during] = [joined(quietly.before), joined(quietly.during)];
  const problems = results.flatMap(({ problem }) => problem ?? []);
  console.info(
    [
      `${results.filter(({ repeats }) => repeats > 0).length} were told to come again, ${Math.max(...results.map(({ repeats }) => repeats))} times at most`,
      `a login costs ${((1_000 * cpuOfLogins) / results.length).toFixed(1)} ms of CPU time`,
      `${results.length} logins, ${problems.length} lost: ${inFigures(results.map(({ milliseconds }) => milliseconds))}`,
      ...kinds.flatMap((kind) => [
        ...describeReviews(aim, kind, before[kind], during[kind]),
        `  ${describeRatios(before[kind], during[kind])}`,
      ]),
    ].join('\n'),
  );
  expect(problems).toEqual([]);
  expect(results).toHaveLength(rounds * perRound);
  for (const kind of kinds) {
    const [usual, now] = [before[kind], during[kind]];
    expect(slowdown(usual, now)).toBeLessThan(aim * noise(usual, now));
  }
});

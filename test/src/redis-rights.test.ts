import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { issue, newToken } from '@sallyport/test-servers/redis-tokens';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret, sha256 } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type LoginPlace,
  type RedisRights,
  redisPassword,
  startLogin,
} from './testing/login-gateway.ts';
import {
  type ListedToken,
  type Operator,
  operatorIn,
  operatorOf,
} from './testing/redis-commands.ts';
import {
  closedCircuit,
  isRobot,
  type RobotGateway,
  refused,
  robots,
  startRobotGateway,
  unavailable,
} from './testing/redis-gateway.ts';
import { documentedLines, loginOf } from './testing/redis-lines.ts';
import { replicasConfig, startReplicas } from './testing/replicas.ts';

const keys = '~sallyport:token:*';

/** The lines of docs/redis.md. The tests of the plugin prove them for all layouts. */
const [, adminLine = '', , , trackingLine = ''] = await documentedLines(
  'Tokens, with a gateway that only reads',
);

const passwords = { gateway: randomToken(), admin: randomToken(), blind: randomToken() };

const user = (name: keyof typeof passwords, line: string): string =>
  line.replace(/^user \S+ on >PASSWORD/, `user ${name} on >${passwords[name]}`);

/** Reads from Redis what a user tried and may not do. */
async function denied(server: RedisServer): Promise<unknown> {
  return await server.client().call('ACL', 'LOG');
}

const login = {
  username: 'gateway',
  password: { file: 'secrets/redis' },
  trackLastUse: '10s',
  commandTimeout: '8s',
};
const options = () => ({ url: redis.url, ...login, admin: { url: { env: 'REDIS_ADMIN_URL' } } });
let redis: RedisServer;
let robotGateway: RobotGateway;
let operator: Operator;
beforeAll(async () => {
  const users = [
    user('gateway', trackingLine),
    user('admin', adminLine),
    user('blind', `user blind on >PASSWORD resetkeys ${keys} -@all +getrange +echo`),
  ];
  redis = await startRedis({ users, password: secret(randomToken()) });
  const env = { REDIS_ADMIN_URL: `redis://admin:${passwords.admin}@127.0.0.1:${redis.port}` };
  const files = { 'secrets/redis': passwords.gateway };
  const entry = { groups: { prefix: 'team:' }, timeout: '9s', ...closedCircuit };
  robotGateway = await startRobotGateway([robots(options(), entry)], { files, env });
  operator = operatorIn(robotGateway.gateway.folder, env);
});
afterAll(async () => {
  await robotGateway[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

test('with the least rights the gateway reads, and commands make, list and revoke tokens as another user', async () => {
  const { ask } = robotGateway;
  await redis.client().call('ACL', 'LOG', 'RESET');
  const began = Date.now();
  const names = [
    '--uid',
    'u-7',
    '--group',
    'dev',
    '--extra',
    'cost-center=4711',
    '--reason',
    'nightly',
    '--by',
    'ada',
  ];
  const made = await operator.create('--user', 'jane', ...names);
  const user = {
    username: 'robot:jane',
    uid: 'u-7',
    groups: ['team:dev'],
    extra: { 'cost-center': ['4711'] },
  };
  const kept = await issue(() => redis, { username: 'ci' });
  expect(await ask(made)).toEqual({ authenticated: true, user });
  const listed = async (token: string) => {
    const { tokens } = (await operator.json('token', 'list')) as {
      readonly tokens: readonly ListedToken[];
    };
    return tokens.find(({ digest }) => digest === sha256(token));
  };
  // No review waits for the note of its use, so it may come after the answer.
  const noted = await waitFor(async () => {
    const token = await listed(made);
    return token?.lastUsedAt ? token : undefined;
  }, 'the note');
  expect(noted).toMatchObject({ state: 'good', user, issuedBy: 'ada', reason: 'nightly' });
  expect(Date.parse(noted.lastUsedAt ?? '')).toBeGreaterThanOrEqual(began);
  expect(await listed(kept)).toMatchObject({ state: 'good', lastUsedAt: null });
  expect(await operator.run(['revoke', '--token', '--by', 'eve'], made)).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect([await ask(kept), await ask(made), await ask(newToken())]).toEqual([
    isRobot('ci'),
    refused,
    refused,
  ]);
  expect(await listed(made)).toMatchObject({ state: 'revoked', revoked: { by: 'eve' } });
  expect(await operator.run(['check'])).toMatchObject({ code: 0 });
  expect(await denied(redis)).toEqual([]);
  // The gateway runs still, and the commands have ended.
  const clients = String(await redis.client().call('CLIENT', 'LIST'));
  expect(new Set(Array.from(clients.matchAll(/ user=(\S+)/g), ([, name]) => name))).toEqual(
    new Set(['default', 'gateway']),
  );
});

/** The lines of docs/redis.md, for one Redis with the cache, tokens and sessions. */
const [oneUser = ''] = await documentedLines('One user for everything');
const [cache = ''] = await documentedLines('The cache');
const [reader = '', admin = ''] = await documentedLines('Tokens, with a gateway that only reads');
const ownSessions = (await documentedLines('Sessions, with users of their own')).map((line) =>
  line.replace('user gateway', 'user sessions').replace('sallyport:token:', 'sallyport:session:'),
);
const [sessionReader = '', sessionAdmin = ''] = ownSessions;

const allUses: readonly (readonly [string, RedisRights, robots: object])[] = [
  ['one user', { cache: oneUser }, loginOf(oneUser, redisPassword)],
  [
    'a user for each use',
    { cache, sessions: { gateway: sessionReader, admin: sessionAdmin }, others: [reader, admin] },
    { ...loginOf(reader, redisPassword), admin: loginOf(admin, redisPassword) },
  ],
];

/** Runs each command once that uses a Redis, and each request of the login server. */
async function useAll({
  ask,
  logIn,
  people: { alice, bob },
  replicas,
  reviews,
}: LoginPlace): Promise<void> {
  const { operator } = replicas;
  const run = async (words: string, input?: string) => {
    const { code, stderr } = await operator.run(words.split(' '), input);
    expect([words, code, stderr]).toEqual([words, 0, '']);
  };
  const [first, second, third] = [await logIn(alice), await logIn(alice), await logIn(alice)];
  expect(await reviews(third)).toMatchObject([
    { authenticated: true, user: { username: 'corp:alice' } },
  ]);
  expect(await reviews(first)).toEqual([{ authenticated: false }]);
  const listed = await ask({ method: 'GET', path: '/v1/sessions', token: third });
  expect(listed.json?.sessions).toHaveLength(2);
  expect(await ask({ method: 'DELETE', path: '/v1/session', token: third })).toMatchObject({
    status: 204,
  });
  expect(await ask({ method: 'DELETE', path: '/v1/sessions', token: second })).toMatchObject({
    json: { ended: 1 },
  });
  await logIn(alice);
  const wrong = { username: bob.name, password: 'wrong', cluster: 'prod' };
  expect(await ask({ body: wrong })).toMatchObject({ status: 401 });
  expect(await operator.json('lockouts')).toMatchObject({
    lockouts: [{ user: 'corp:bob', refused: 1 }],
  });
  await run('unlock --user corp:bob');
  await run('block --user corp:bob --for 1m');
  await run('blocks');
  await run('unblock --user corp:bob');

  const robot = await operator.create('--user', 'ci', '--group', 'dev');
  expect((await replicas.ask(robot))[0]).toMatchObject({ user: { username: 'robot:ci' } });
  await run('token list');
  await run('token list --user ci');
  expect(await operator.run(['token', 'list', '--user', 'corp:alice'])).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(
      /^sallyport: authenticator robots has no token of user robot:corp:alice\n {2}fix: to list their sessions, run: .* token list --authenticator sessions --user corp:alice --config \S+\n$/,
    ),
  });
  await run('token list --authenticator sessions --user corp:alice');
  await run('explain', robot);
  await run('explain', bob.token);
  for (const name of ['robot:ci', 'corp:alice']) await run(`explain --user ${name}`);
  await run('audit fingerprint', robot);
  await run('revoke --token', robot);
  const digest = sha256(await operator.create('--user', 'cd')).slice(0, 12);
  await run(`revoke --digest ${digest}`);
  await operator.create('--user', 'ci');
  await run('revoke --user robot:ci');
  await run('revoke --user corp:alice');
  expect((await replicas.ask(robot))[0]).toEqual(refused);
}

test.each(allUses)(
  'the rights in docs/redis.md are enough for everything: %s',
  async (_name, rights, own) => {
    // A busy machine is not an outage.
    const others = (url: string) => [
      robots({ url, commandTimeout: '8s', ...own }, { timeout: '9s' }),
    ];
    await using place = await startLogin({ rights, others, login: { maxSessions: 2 } });
    await useAll(place);
    const { findings } = (await place.replicas.operator.json('check')) as {
      findings: { check: string; result: string }[];
    };
    const ofRedis = findings.filter(({ check }) =>
      /^(cache Redis|authenticator (robots|sessions))$/.test(check),
    );
    expect(ofRedis.map(({ result }) => result)).toEqual(['ok', 'ok', 'ok']);
    expect(await denied(place.redis)).toEqual([]);
  },
);

test('blocks survive a restart of a Redis whose user default is off as in docs/redis.md', async () => {
  const [everything = ''] = await documentedLines('One user for everything');
  const password = secret(randomToken());
  await using own = await startRedis({
    users: [
      ...(await documentedLines('Close the default user')),
      everything.replace('PASSWORD', password),
    ],
  });
  const place = {
    url: own.url,
    username: 'sallyport',
    password: { file: redisPassword },
    timeout: '5s',
  };
  const config = replicasConfig([staticAuthenticator], place);
  const files = {
    [redisPassword]: password,
    'tokens.yaml': tokensFile({ [randomToken()]: 'robot' }),
  };
  await using replicas = await startReplicas(1, config, files);
  expect(await replicas.operator.run(['block', '--user', 'jane', '--for', '1h'])).toMatchObject({
    code: 0,
  });
  // No gateway may be there that could write it back.
  for (const gateway of replicas.gateways) await gateway.stop();
  await own.stop();
  await own.start();
  const blocks = await waitFor(async () => {
    const { code, stdout, stderr } = await replicas.operator.run(['blocks']);
    return code === 0 ? stdout + stderr : undefined;
  }, 'Redis');
  expect(blocks).toMatch(/^user +jane /m);
});

test('without the rights commands fail in plain words that name options.admin, and change nothing', async () => {
  const token = await issue(() => redis, { username: 'ci' });
  const records = async () =>
    (await redis.client().keys('*')).filter((key) => !key.endsWith(':last-use')).sort();
  const before = await records();
  const url = `redis://gateway:${passwords.gateway}@127.0.0.1:${redis.port}`;
  const without = await operatorOf([robots({ url: { file: 'url' } })], { url });
  for (const words of [
    ['token', 'create', '--user', 'jane', '--ttl', '1h'],
    ['revoke', '--token'],
  ]) {
    const { code, stdout, stderr } = await without.run(words, token);
    expect([words, code]).toEqual([words, 1]);
    expect(stdout).not.toMatch(/[1-9]\d* tokens? revoked|^sp_/);
    expect(stderr).toMatch(
      /^sallyport: .*redis:\/\/127\.0\.0\.1.*the user is not allowed to do this.*options\.admin/s,
    );
    expect(stderr.trimEnd().split('\n').length, stderr).toBeLessThanOrEqual(3);
  }
  expect(await robotGateway.ask(token)).toEqual(isRobot('ci'));
  expect(await records()).toEqual(before);
});

test('check finds what is wrong with each authenticator, and how to fix it', async () => {
  const problems: readonly (readonly [object, RegExp])[] = [
    [
      { url: redis.url, username: 'gateway', password: { file: 'wrong' } },
      /refuses the username or the password/,
    ],
    [{ url: { file: 'wrong-url' } }, /refuses the username or the password/],
    [
      { url: redis.url, username: 'blind', password: { file: 'blind' } },
      /the user is not allowed to do this \(PTTL\)/,
    ],
    [{ url: 'redis://127.0.0.1:1' }, /redis:\/\/127\.0\.0\.1:1: .*was refused/],
    [{ url: redis.tlsUrl }, /caFile/],
  ];
  const wrong = randomToken();
  const entries = problems.map(([one], index) =>
    robots({ ...one, commandTimeout: '30s' }, { name: `robots-${index}` }),
  );
  const own = await operatorOf(entries, {
    wrong,
    blind: passwords.blind,
    'wrong-url': `redis://:${wrong}@127.0.0.1:${redis.port}`,
  });
  const { code, stdout } = await own.run(['check', '-o', 'json']);
  expect(code).toBe(1);
  const findings: { check: string; result: string; detail: string }[] = JSON.parse(stdout).findings;
  for (const [index, [, detail]] of problems.entries()) {
    const finding = findings.find(({ check }) => check === `authenticator robots-${index}`);
    expect(finding).toMatchObject({ result: 'error', detail: expect.stringMatching(detail) });
    expect(finding?.detail).not.toMatch(/ioredis|\n/);
  }
  // The plugin logs the same problem when it starts.
  expect(
    findings.filter(
      ({ detail }) => detail.includes('127.0.0.1:1: ') || detail.includes('127.0.0.1:1;'),
    ),
  ).toHaveLength(1);
  // These are the stores of the same Redis, whoever logs in there.
  const stores = findings
    .filter(({ check }) => check === 'token stores')
    .map(({ detail }) => detail);
  expect(
    stores.map((detail) => detail.replace(/ \([^)]*gateway\.yaml:\d+\)/g, '').split(' store ')[0]),
  ).toEqual(['robots-0 and robots-1', 'robots-0 and robots-2', 'robots-1 and robots-2']);
  expect(stores[0]).toContain(
    `(redis://127.0.0.1:${redis.port}, database 0, keys sallyport:token:*)`,
  );
});

test('a password that is changed in Redis and then in its file is followed without a restart', async () => {
  const next = randomToken();
  const { gateway, ask } = robotGateway;
  const token = await issue(() => redis, { username: 'ci' });
  expect(await ask(token)).toEqual(isRobot('ci'));
  await redis.client().call('ACL', 'SETUSER', 'gateway', `>${next}`, `<${passwords.gateway}`);
  passwords.gateway = next;
  await redis.client().call('CLIENT', 'KILL', 'USER', 'gateway');
  await waitFor(async () => {
    expect(await ask(token)).toEqual(unavailable);
    return gateway.output.lines.some(({ reason }) =>
      /refuses the username or the password/.test(String(reason)),
    );
  }, 'the log to name the password');
  await gateway.write('secrets/redis', next);
  gateway.signal('SIGHUP');
  await waitFor(async () => (await ask(token)).authenticated, 'the new password to be in force');
});

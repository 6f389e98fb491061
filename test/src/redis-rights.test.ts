import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readDocument } from './testing/deployed.ts';
import { startLogin } from './testing/login-gateway.ts';
import type { LogLine } from './testing/output.ts';
import { operatorIn } from './testing/redis-commands.ts';
import {
  closedCircuit,
  isRobot,
  type RobotGateway,
  refused,
  robots,
  startRobotGateway,
  unavailable,
} from './testing/redis-gateway.ts';
import { issue, newToken } from './testing/redis-tokens.ts';
import { randomToken, secret } from './testing/tokens.ts';

/** The least rights, word for word as the README of the plugin gives them. Its own tests hold them for all layouts. */
const rights = { gateway: '+getrange +pttl +echo', admin: '+scan +getrange +pttl +echo +set +eval' };

const user = (name: string, password: string, commands: string, keys = '~sallyport:token:*'): string =>
  `user ${name} on >${password} resetkeys ${keys} -@all ${commands}`;

/** What a user tried and may not, as Redis noted it. */
async function denied(redis: RedisServer): Promise<unknown> {
  return await redis.client().call('ACL', 'LOG');
}

async function connectedUsers(redis: RedisServer): Promise<Set<string>> {
  const clients = String(await redis.client().call('CLIENT', 'LIST'));
  return new Set(Array.from(clients.matchAll(/ user=(\S+)/g), ([, name = '']) => name));
}

test('with the least rights the gateway reads, and commands write as another user', async () => {
  const [gatewayPassword, adminPassword] = [randomToken(), randomToken()];
  const users = [user('gateway', gatewayPassword, rights.gateway), user('gateway-admin', adminPassword, rights.admin)];
  await using redis = await startRedis({ users, password: secret(randomToken()) });
  const options = { url: { file: 'secrets/url' }, admin: { url: { env: 'REDIS_ADMIN_URL' } } };
  const env = { REDIS_ADMIN_URL: `redis://gateway-admin:${adminPassword}@127.0.0.1:${redis.port}` };
  const files = { 'secrets/url': `redis://gateway:${gatewayPassword}@127.0.0.1:${redis.port}\n` };
  await using robotGateway = await startRobotGateway([robots(options)], { files, env });
  const { gateway, ask } = robotGateway;
  const operator = operatorIn(gateway.folder, env);
  const gone = await operator.create('--user', 'jane');
  const kept = await issue(() => redis, { username: 'ci' });
  expect([await ask(kept), await ask(gone)]).toEqual([isRobot('ci'), isRobot('jane')]);
  expect(await operator.json('token', 'list')).toMatchObject({ tokens: [{ state: 'good' }, { state: 'good' }] });
  expect(await operator.run(['revoke', '--token'], gone)).toMatchObject({ code: 0 });
  expect([await ask(kept), await ask(gone), await ask(newToken())]).toEqual([isRobot('ci'), refused, refused]);
  expect(await operator.run(['check'])).toMatchObject({ code: 0 });
  expect(await denied(redis)).toEqual([]);
  // The gateway runs still, and the commands have ended.
  expect(await connectedUsers(redis)).toEqual(new Set(['default', 'gateway']));
});

test('the rights in docs/login.md are enough for a cache and sessions in one Redis', async () => {
  const [, loginRights = ''] = /^ *(user sallyport on .*)$/m.exec(await readDocument('docs/login.md')) ?? [];
  await using place = await startLogin({ rights: loginRights, login: { maxSessions: 2 } });
  const { ask, logIn, people, redis, replicas, reviews } = place;
  const { alice } = people;
  const [first, second, third] = [await logIn(alice), await logIn(alice), await logIn(alice)];
  expect(await reviews(third)).toMatchObject([{ authenticated: true, user: { username: 'corp:alice' } }]);
  expect(await reviews(first)).toEqual([{ authenticated: false }]);
  const listed = await ask({ method: 'GET', path: '/v1/sessions', token: third });
  expect(listed.json?.sessions).toHaveLength(2);
  expect(await ask({ method: 'DELETE', path: '/v1/session', token: third })).toMatchObject({ status: 204 });
  expect(await ask({ method: 'DELETE', path: '/v1/sessions', token: second })).toMatchObject({ json: { ended: 1 } });
  const { operator } = replicas;
  expect(await operator.run(['block', '--user', 'corp:alice', '--for', '1m'])).toMatchObject({ code: 0 });
  expect(await operator.run(['check'])).toMatchObject({ code: 0 });
  expect(await denied(redis)).toEqual([]);
});

describe('without the rights', () => {
  const place = { username: 'gateway', password: { file: 'secrets/redis' } };
  let redis: RedisServer;
  let robotGateway: RobotGateway;
  let password = randomToken();
  beforeAll(async () => {
    redis = await startRedis({ users: [user('gateway', password, rights.gateway)] });
    const files = { 'secrets/redis': password };
    robotGateway = await startRobotGateway([robots({ url: redis.url, ...place }, closedCircuit)], { files });
  });
  afterAll(async () => {
    await robotGateway[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  test('commands fail in plain words that name options.admin, and change nothing', async () => {
    const { gateway, ask } = robotGateway;
    const token = await issue(() => redis, { username: 'ci' });
    const before = await redis.client().dbsize();
    const operator = operatorIn(gateway.folder);
    for (const words of [
      ['token', 'create', '--user', 'jane', '--ttl', '1h'],
      ['token', 'list'],
      ['revoke', '--user', 'robot:ci'],
      ['revoke', '--token'],
    ]) {
      const { code, stdout, stderr } = await operator.run(words, token);
      expect([words, code]).toEqual([words, 1]);
      expect(stdout).not.toMatch(/[1-9]\d* tokens? revoked|^sp_/);
      expect(stderr).toMatch(/^sallyport: .*redis:\/\/127\.0\.0\.1.*the user may not do this.*options\.admin/s);
      expect(stderr.trimEnd().split('\n').length, stderr).toBeLessThanOrEqual(3);
    }
    expect(await ask(token)).toEqual(isRobot('ci'));
    expect(await redis.client().dbsize()).toBe(before);
  });

  test('of a key or a command the gateway can not check, and says whose rights are missing', async () => {
    const secrets = { prefix: randomToken(), pttl: randomToken() };
    await using server = await startRedis({
      users: [
        user('prefix', secrets.prefix, rights.gateway, '~elsewhere:*'),
        user('pttl', secrets.pttl, '+getrange +echo'),
      ],
    });
    const names = Object.keys(secrets);
    const entries = names.map((name) =>
      robots({ url: server.url, username: name, password: { file: `secrets/${name}` } }, { name }),
    );
    const files = Object.fromEntries(Object.entries(secrets).map(([name, text]) => [`secrets/${name}`, text]));
    await using without = await startRobotGateway(entries, { files });
    const { gateway, ask, metric } = without;
    expect(await ask(await issue(() => server, { username: 'ci' }))).toEqual({
      authenticated: false,
      error: 'authenticators prefix, pttl unavailable',
    });
    expect(await metric('faults_total', 'kind="permission"')).toBe(names.length);
    const { code, stdout } = await operatorIn(gateway.folder).run(['check']);
    expect(code).toBe(1);
    for (const name of names) {
      const isFault = ({ msg, authenticator }: LogLine) =>
        msg === 'authenticator could not check a token' && authenticator === name;
      expect((await gateway.output.waitForLine(isFault, name)).reason).toMatch(/the user may not do this/);
      expect(stdout).toMatch(new RegExp(`authenticator ${name} +fault .*the user may not do this`));
    }
  });

  test('a password that is changed in Redis and then in its file is followed without a restart', async () => {
    const [old, next] = [password, randomToken()];
    password = next;
    const { gateway, ask } = robotGateway;
    const token = await issue(() => redis, { username: 'ci' });
    expect(await ask(token)).toEqual(isRobot('ci'));
    await redis.client().call('ACL', 'SETUSER', 'gateway', `>${next}`, `<${old}`);
    await redis.client().call('CLIENT', 'KILL', 'USER', 'gateway');
    const isReported = ({ reason }: LogLine): boolean => /refuses the username or the password/.test(String(reason));
    await waitFor(async () => {
      expect(await ask(token)).toEqual(unavailable);
      return gateway.output.lines.some(isReported);
    }, 'the log to name the password');
    await gateway.write('secrets/redis', next);
    gateway.signal('SIGHUP');
    await waitFor(async () => (await ask(token)).authenticated, 'the new password to be in force');
    expect(await ask(token)).toEqual(isRobot('ci'));
  });
});

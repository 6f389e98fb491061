import { newPassword } from '@sallyport/test-servers/passwords';
import { type RedisSentinels, startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { redisUsers } from '@sallyport/test-servers/redis-users';
import { waitFor, waitForPromise } from '@sallyport/test-servers/wait-for';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createRedisAuthenticator } from './authenticator.ts';
import {
  collect,
  never,
  outcomeOf,
  startAuthenticator,
  startIssuer,
  tracedContext,
} from './testing/plugin.ts';
import { settled } from './testing/written-options.ts';

const acl = (secret: string) => [
  `user gateway on >${secret} resetkeys ~sallyport:token:* -@all +getrange +pttl +echo`,
  `user gateway-admin on >${secret} resetkeys ~sallyport:token:* -@all +scan +getrange +pttl +echo +set +eval +role +wait`,
];
const secure = ({ addresses, name, caFile }: RedisSentinels) => ({
  sentinels: addresses.map((address) => `rediss://${address}`),
  name,
  caFile,
});

async function makeToken(options: Record<string, unknown>, username: string): Promise<string> {
  await using started = await startIssuer(options);
  const { token } = await started.issuer.create({ user: { username }, issuedBy: 'test' }, never);
  return token;
}

/** Waits for replication. Redis does not, so what was written a moment ago may be lost with its master. */
async function untilReplicated(sentinels: RedisSentinels): Promise<void> {
  const client = (await sentinels.master()).client();
  // WAIT is about the writes of its own connection: this one comes after all others.
  await client.set('written', 'last');
  await client.wait(1, 0);
}

async function revoke(options: Record<string, unknown>, token: string): Promise<void> {
  await using started = await startIssuer(options);
  const revoked = await collect(started.issuer.revoke({ token }, { at: new Date() }, never));
  expect(revoked).toHaveLength(1);
}

test('Redis behind sentinels is reached over TLS with passwords of its own, also after a failover', async () => {
  const [secret, sentinelPassword] = [newPassword(), newPassword()];
  await using sentinels = await startSentinels({ tls: true, users: acl(secret), sentinelPassword });
  const login = {
    username: 'gateway',
    password: secret,
    admin: { username: 'gateway-admin', password: secret },
  };
  const options = { ...secure(sentinels), sentinelPassword, ...login };
  const token = await makeToken(options, 'jane');
  await using started = await startAuthenticator(options);
  expect(await outcomeOf(started.ask(token))).toBe('authenticated');
  await started.check();
  await using wrong = await startAuthenticator({
    ...options,
    sentinelPassword: newPassword(),
    commandTimeout: '500ms',
  });
  await expect(wrong.check()).rejects.toThrow(
    /the sentinels refuse the login: check sentinelUsername/,
  );
  await untilReplicated(sentinels);
  const old = await sentinels.master();
  await old.kill();
  await sentinels.untilPromoted(old);
  await waitFor(
    async () => (await outcomeOf(started.ask(token))) === 'authenticated',
    'lookups to pass again',
  );
  await revoke(options, token);
  expect(await outcomeOf(started.ask(token))).toBe('rejected: revoked');
});

test('a master of Valkey that hangs is abandoned as soon as another is promoted, whatever the deadlines are', async () => {
  await using sentinels = await startSentinels({ program: 'valkey-server' });
  const options = { sentinels: sentinels.addresses, name: sentinels.name };
  const token = await makeToken(options, 'jane');
  // This is longer than any failover: a lookup that waited for it would have no answer in time.
  const settings = settled(options);
  const patient = { ...settings, connection: { ...settings.connection, commandTimeout: 600_000 } };
  const { context } = tracedContext();
  const authenticator = await createRedisAuthenticator(patient, context);
  onTestFinished(() => authenticator.close());
  const ask = async () => authenticator.authenticate(token, { audiences: [], signal: never });
  expect(await outcomeOf(ask())).toBe('authenticated');
  await untilReplicated(sentinels);
  const old = await sentinels.master();
  await old.hang();
  const caught = ask();
  const ended = expect(caught).rejects.toThrow(/the connection was closed|not connected/);
  await sentinels.untilPromoted(old);
  await waitForPromise(ended, 'the lookup to be given up');
  await waitFor(async () => (await outcomeOf(ask())) === 'authenticated', 'lookups to pass again');
  await revoke(options, token);
  await old.start();
  // The old master comes back as a master, with a token that is not revoked.
  for (let round = 0; round < 200; round += 1)
    expect(await outcomeOf(ask())).toBe('rejected: revoked');
});

test('one sentinel is enough, prints nothing, and its user needs only the documented rights', async () => {
  const spies = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')];
  await using sentinels = await startSentinels();
  const [sentinelUsername, sentinelPassword] = ['gateway', newPassword()];
  const [, , , , ...rights] = redisUsers.Sentinels[0].split(' ');
  for (const sentinel of sentinels.sentinels) {
    const user = [sentinelUsername, 'on', `>${sentinelPassword}`, ...rights];
    await sentinel.client().call('ACL', 'SETUSER', ...user);
  }
  const addresses = ['127.0.0.1:1', ...sentinels.addresses];
  const options = {
    sentinels: addresses,
    name: sentinels.name,
    sentinelUsername,
    sentinelPassword,
  };
  await using unnamed = await startAuthenticator({
    ...options,
    name: 'other',
    commandTimeout: '500ms',
  });
  await expect(unnamed.check()).rejects.toThrow(/no sentinel names a master/);
  const token = await makeToken(options, 'jane');
  await using started = await startAuthenticator(options);
  expect(await outcomeOf(started.ask(token))).toBe('authenticated');
  const denied = await Promise.all(
    sentinels.sentinels.map((sentinel) => sentinel.client().call('ACL', 'LOG')),
  );
  expect(denied.flat()).toEqual([]);
  const [first, second] = sentinels.sentinels;
  await first?.stop();
  await second?.stop();
  expect(await outcomeOf(started.ask(token))).toBe('authenticated');
  await using another = await startAuthenticator(options);
  expect(await outcomeOf(another.ask(token))).toBe('authenticated');
  for (const spy of spies) expect(spy).not.toHaveBeenCalled();
});

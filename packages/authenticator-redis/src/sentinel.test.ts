import { newPassword } from '@sallyport/test-servers/passwords';
import { type RedisSentinels, startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test, vi } from 'vitest';
import { collect, never, outcomeOf, startAuthenticator, startIssuer } from './testing/plugin.ts';

const acl = (secret: string) => [
  `user gateway on >${secret} resetkeys ~sallyport:token:* -@all +getrange +pttl +echo`,
  `user gateway-admin on >${secret} resetkeys ~sallyport:token:* -@all +scan +getrange +pttl +echo +set +eval`,
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

/** Redis replicates without waiting for it: what was written a moment ago may else be lost with its master. */
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

describe.each(['redis-server', 'valkey-server'] as const)('behind sentinels, %s', (program) => {
  test('is reached over TLS with passwords of its own, also after a failover', async () => {
    const [secret, sentinelPassword] = [newPassword(), newPassword()];
    await using sentinels = await startSentinels({ program, tls: true, users: acl(secret), sentinelPassword });
    const login = { username: 'gateway', password: secret, admin: { username: 'gateway-admin', password: secret } };
    const options = { ...secure(sentinels), sentinelPassword, ...login };
    const token = await makeToken(options, 'jane');
    await using started = await startAuthenticator(options);
    expect(await outcomeOf(started.ask(token))).toBe('authenticated');
    await started.check();
    await untilReplicated(sentinels);
    const old = await sentinels.master();
    await old.kill();
    await sentinels.untilPromoted(old);
    await waitFor(async () => (await outcomeOf(started.ask(token))) === 'authenticated', 'lookups to pass again');
    await revoke(options, token);
    expect(await outcomeOf(started.ask(token))).toBe('rejected: revoked');
  });

  test('a master that hangs is abandoned as soon as another is promoted, long before all deadlines', async () => {
    await using sentinels = await startSentinels({ program });
    const options = { sentinels: sentinels.addresses, name: sentinels.name, commandTimeout: '30s' };
    const token = await makeToken(options, 'jane');
    await using started = await startAuthenticator(options);
    expect(await outcomeOf(started.ask(token))).toBe('authenticated');
    await untilReplicated(sentinels);
    const old = await sentinels.master();
    const began = performance.now();
    await old.hang();
    const caught = outcomeOf(started.ask(token));
    await sentinels.untilPromoted(old);
    expect(await caught).toBe('unavailable');
    await waitFor(async () => (await outcomeOf(started.ask(token))) === 'authenticated', 'lookups to pass again');
    expect(performance.now() - began).toBeLessThan(25_000);
    await revoke({ ...options, commandTimeout: '2s' }, token);
    await old.start();
    // It comes back as the master that it was, with a token that is not revoked.
    for (let round = 0; round < 200; round += 1) expect(await outcomeOf(started.ask(token))).toBe('rejected: revoked');
  });
});

test('sentinels that are down print nothing on stderr, and one sentinel is enough', async () => {
  const spies = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')];
  await using sentinels = await startSentinels();
  const options = { sentinels: ['127.0.0.1:1', ...sentinels.addresses], name: sentinels.name };
  const token = await makeToken(options, 'jane');
  await using started = await startAuthenticator(options);
  const [first, second] = sentinels.sentinels;
  await first?.stop();
  await second?.stop();
  expect(await outcomeOf(started.ask(token))).toBe('authenticated');
  await using another = await startAuthenticator(options);
  expect(await outcomeOf(another.ask(token))).toBe('authenticated');
  for (const spy of spies) expect(spy).not.toHaveBeenCalled();
});

test('a user of the sentinels needs only the rights in the README', async () => {
  await using sentinels = await startSentinels();
  const [sentinelUsername, sentinelPassword] = ['gateway', newPassword()];
  const rights = ['resetchannels', '&+switch-master', '-@all', '+sentinel|get-master-addr-by-name'];
  for (const sentinel of sentinels.sentinels) {
    const user = [sentinelUsername, 'on', `>${sentinelPassword}`, ...rights, '+sentinel|sentinels', '+subscribe'];
    await sentinel.client().call('ACL', 'SETUSER', ...user);
  }
  const options = { sentinels: sentinels.addresses, name: sentinels.name, sentinelUsername, sentinelPassword };
  const token = await makeToken(options, 'jane');
  await using started = await startAuthenticator(options);
  expect(await outcomeOf(started.ask(token))).toBe('authenticated');
  const denied = await Promise.all(sentinels.sentinels.map((sentinel) => sentinel.client().call('ACL', 'LOG')));
  expect(denied.flat()).toEqual([]);
});

test.each([
  ['a name that they do not know', { name: 'other' }, /no sentinel names a master/],
  ['a wrong password', { sentinelPassword: newPassword() }, /the sentinels refuse the login: check sentinelUsername/],
])('sentinels and %s are reported in plain words', async (_what, changed, complaint) => {
  const sentinelPassword = newPassword();
  await using sentinels = await startSentinels({ sentinelPassword, replicas: 0, sentinels: 1 });
  const right = { sentinels: sentinels.addresses, name: sentinels.name, sentinelPassword };
  await using started = await startAuthenticator({ ...right, ...changed });
  await expect(started.check()).rejects.toThrow(complaint);
});

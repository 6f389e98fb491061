import { errorOf } from '@sallyport/test-servers/error-of';
import { newPassword } from '@sallyport/test-servers/passwords';
import { startRedis } from '@sallyport/test-servers/redis';
import { clientsOf } from '@sallyport/test-servers/redis-command-calls';
import { expect, test } from 'vitest';
import { accessLists } from '../testing/access-lists.ts';
import { collect, never, startAuthenticator, startIssuer } from '../testing/plugin.ts';
import { storeToken } from '../testing/records.ts';

const password = newPassword();
const { gateway, issuer } = accessLists.json;
const request = { user: { username: 'ci' }, issuedBy: 'jane' };
const usersOf = (clients: readonly string[]) =>
  clients.map((line) => / user=(\S+) /.exec(line)?.[1]);

test('the commands log in as the user of admin, and the gateway never does', async () => {
  const users = [
    `user gateway on >${password} ${gateway}`,
    `user gateway-admin on >${password} ${issuer}`,
  ];
  await using redis = await startRedis({ users });
  const login = { url: redis.url, username: 'gateway', password };
  const written = { ...login, admin: { username: 'gateway-admin', password } };
  await using started = await startAuthenticator(written);
  expect(usersOf(await clientsOf(redis))).toEqual(['gateway']);
  await using commands = await startIssuer(written);
  expect(usersOf(await clientsOf(redis)).sort()).toEqual(['gateway', 'gateway-admin']);
  const { token } = await commands.issuer.create(request, never);
  expect(await started.ask(token)).toMatchObject({ kind: 'authenticated' });
  await collect(commands.issuer.revoke({ token }, { at: new Date() }, never));
  expect(await started.ask(token)).toMatchObject({ kind: 'rejected', reason: 'revoked' });
  expect(usersOf(await clientsOf(redis)).sort()).toEqual(['gateway', 'gateway-admin']);

  // Without `admin`, the commands log in as the gateway, which may not write.
  await using reader = await startIssuer(login);
  expect((await errorOf(reader.issuer.create(request, never))).message).toContain(
    'the user is not allowed to do this (SET)',
  );
});

test('the commands connect to the server of admin.url', async () => {
  await using replica = await startRedis();
  await using master = await startRedis();
  await using commands = await startIssuer({
    url: replica.url,
    admin: { url: master.tlsUrl },
    caFile: master.caFile,
  });
  await storeToken(replica.client(), 'json', { username: 'elsewhere' });
  const { issued } = await commands.issuer.create(request, never);
  expect(await collect(commands.issuer.list({}, never))).toEqual([issued]);
  expect([await master.client().dbsize(), await replica.client().dbsize()]).toEqual([1, 1]);
  expect(await clientsOf(replica)).toEqual([]);
});

test('a closed issuer leaves no connection, and may be closed twice', async () => {
  await using redis = await startRedis();
  const commands = await startIssuer({ url: redis.url });
  expect(await clientsOf(redis)).toHaveLength(1);
  await commands.issuer.close();
  await commands.issuer.close();
  await expect(collect(commands.issuer.list({}, never))).rejects.toThrow(/^redis:/);
});

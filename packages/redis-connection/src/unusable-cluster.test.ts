import { errorOf } from '@sallyport/test-servers/error-of';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { newPassword } from '@sallyport/test-servers/passwords';
import { startRedis } from '@sallyport/test-servers/redis';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { expect, test } from 'vitest';
import { newKey, open, revealed } from './testing/opened.ts';

const [password, own] = [newPassword(), newPassword()];
const node = await redisForFile({
  cluster: true,
  password,
  users: [`user few on >${own} ~* -@all +getrange +pttl +echo`],
});
const wrong = newPassword();

test.each<{ name: string; written: () => object; problem: string }>([
  {
    name: 'a wrong password',
    written: () => ({ password: wrong }),
    problem: 'it refuses the username or the password, or the user is disabled',
  },
  {
    name: 'no password',
    written: () => ({}),
    problem: 'it requires a password: set username and password',
  },
  {
    name: 'too few rights',
    written: () => ({ username: 'few', password: own }),
    problem: 'the user is not allowed to do this (CLUSTER|SLOTS): compare',
  },
  {
    name: 'an unknown CA',
    written: () => ({ password, caFile: undefined }),
    problem: "the server's certificate is signed by a CA that is not",
  },
  {
    name: 'a closed port',
    written: () => ({ cluster: ['rediss://127.0.0.1:1'] }),
    problem: 'the connection was refused: is it running, and',
  },
])('the reason of the last node is reported: $name', async ({ written, problem }) => {
  const noise = listenForNoise();
  await using started = await open({ cluster: [node.tlsUrl], caFile: node.caFile, ...written() });
  const errors = [await errorOf(started.read(newKey())), await errorOf(started.read(newKey()))];
  for (const { message } of errors)
    expect(message).toContain(`: no node of the cluster can be used: ${problem}`);
  const [warning] = started.lines.filter(({ level }) => level === 'warn');
  expect(warning?.fields).toMatchObject({ problem: expect.stringContaining(problem) });
  expect(noise).toEqual([]);
  for (const secret of [password, own, wrong])
    expect(revealed([errors, started.lines, started.values])).not.toContain(secret);
});

test('a Redis that is not a node of a cluster is reported as such', async () => {
  await using single = await startRedis();
  await using started = await open({ cluster: [single.url] });
  const { message } = await errorOf(started.read(newKey()));
  expect(message).toContain(
    ': it is not a node of a cluster: write url in place of cluster, or set cluster-enabled',
  );
});

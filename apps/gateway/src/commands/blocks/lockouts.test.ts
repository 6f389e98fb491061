import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { expect, test } from 'vitest';
import { awayEntry, createBlockPlace, staticEntry } from './testing/block-place.ts';

const redis = await redisForFile();
const plain = { ...staticEntry, name: 'robots' };

test.each([{ words: ['lockouts'] }, { words: ['unlock', '--user', 'bob'] }])(
  'without cache.redis, $words says where the counts are and how long they last',
  async ({ words }) => {
    await using place = await createBlockPlace([plain], undefined);
    expect(await place.run(words)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /needs cache\.redis.*in its own memory, which no command reaches\n {2}fix: wait for lockout\.window \(30m\)/,
      ),
    });
  },
);

test('unlock needs a user, by the name in Kubernetes unless it is exact', async () => {
  const corp = { ...awayEntry, name: 'corp', username: { prefix: 'corp:' } };
  await using place = await createBlockPlace([corp, plain], redis.url);
  expect(await place.run(['unlock'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("'--user <name>'"),
  });
  expect(await place.run(['unlock', '--user', 'ada'])).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(
      /--user ada doesn't begin with a prefix of this config.*\n {4}--user ada --exact +# known: robots\n {4}--user corp:ada +# error: corp\n/s,
    ),
  });
  expect(await place.run(['unlock', '--user', 'ada', '--exact', '--expect', '0'])).toMatchObject({
    code: 3,
  });
});

import { randomBytes } from 'node:crypto';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { createConfigFolder } from '../../testing/config-folder.ts';
import { startGatewayIn } from '../../testing/started-gateway.ts';

const redis = await redisForFile();
const file = 'sealing-key';
const sealingKey = secret(randomBytes(32).toString('base64'));

test('revoke --all is confirmed by the gateway that runs', async () => {
  const { url } = redis;
  const config = {
    authenticators: [{ name: 'robots', use: 'redis', options: { url } }],
    cache: { redis: { url, sealingKeys: [{ file }] } },
  };
  await using place = await createConfigFolder(config, { [file]: sealingKey });
  await using _gateway = await startGatewayIn(place.folder);
  expect(await place.run(['revoke', '--all'])).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^confirmed by 1 of 1 replica\.\n/m),
    stderr: '',
  });
});

import { recordingContext } from '@sallyport/authenticator/conformance';
import { connect, type RedisConnection } from '@sallyport/redis-connection';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stepsEach, takeRandomSteps } from './testing/random-steps.ts';

let redis: RedisServer;
let connection: RedisConnection;

beforeAll(async () => {
  redis = await startRedis();
  const { context } = recordingContext({ pluginName: 'model', baseDirectory: '/' });
  connection = await connect(
    {
      servers: { kind: 'socket', secure: false, database: 0, path: redis.socket },
      tls: { minVersion: 'TLSv1.2' },
      commandTimeout: 20_000,
    },
    { minimalAcl: '', wrongType: '', consequence: '' },
    context,
  );
});
afterAll(async () => {
  await connection.close();
  await redis[Symbol.asyncDispose]();
});

/** `model.load.ts` takes many more steps. */
const runs = 10;

test('in any order of events: no false accept, and no accept that has ended, was revoked or is blocked', async () => {
  const accepts = await takeRandomSteps(connection, runs);
  console.log(`${runs * stepsEach} steps, accepts: ${JSON.stringify(Object.fromEntries(accepts))}`);
  // Else the steps would show nothing.
  for (const source of ['backend', 'memory', 'redis', 'stale'])
    expect(accepts.get(source)).toBeGreaterThan(10);
});

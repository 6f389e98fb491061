import { expect, test } from 'vitest';
import { nameServers } from './connection-options.ts';
import { settled } from './testing/written-options.ts';

test.each([
  [{ url: 'rediss://gateway:not-told@redis.example.com/3' }, 'rediss://redis.example.com:6379'],
  [{ url: 'redis://[::1]:7000', password: 'not-told' }, 'redis://[::1]:7000'],
  [{ url: 'unix:/run/redis.sock?db=3' }, 'unix:/run/redis.sock'],
  [
    {
      sentinels: ['rediss://a', 'rediss://[2001:db8::1]'],
      name: 'mymaster',
      sentinelPassword: 'not-told',
    },
    'master mymaster of the sentinels a:26379, [2001:db8::1]:26379',
  ],
  [
    { cluster: ['127.0.0.1', 'localhost:7000'], password: 'not-told' },
    'the cluster of 127.0.0.1:6379, localhost:7000',
  ],
])('servers of %j are called %s', (written, name) => {
  expect(nameServers(settled(written).servers)).toBe(name);
});

import { expect, test } from 'vitest';
import { nameServers } from './connection-options.ts';
import { settled } from './testing/written-options.ts';

test.each([
  {
    written: { url: 'rediss://gateway:not-told@redis.example.com/3' },
    name: 'rediss://redis.example.com:6379',
  },
  { written: { url: 'redis://[::1]:7000', password: 'not-told' }, name: 'redis://[::1]:7000' },
  { written: { url: 'unix:/run/redis.sock?db=3' }, name: 'unix:/run/redis.sock' },
  {
    written: {
      sentinels: ['rediss://a', 'rediss://[2001:db8::1]'],
      name: 'mymaster',
      sentinelPassword: 'not-told',
    },
    name: 'master mymaster of the sentinels a:26379, [2001:db8::1]:26379',
  },
  {
    written: { cluster: ['127.0.0.1', 'localhost:7000'], password: 'not-told' },
    name: 'the cluster of 127.0.0.1:6379, localhost:7000',
  },
])('servers of $written are called $name', ({ written, name }) => {
  expect(nameServers(settled(written).servers)).toBe(name);
});

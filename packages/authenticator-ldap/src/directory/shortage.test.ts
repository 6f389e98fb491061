import { expect, test } from 'vitest';
import { never } from '../connection/testing/connecting.ts';
import { outcomeOf, searchOnce, setUpMemoryServers } from './testing/set-up.ts';

test('a shortage fails the logins that meet it, those that wait for the first connection too, and opens no circuit', async () => {
  const { directory, server, values, lines } = setUpMemoryServers(2, {
    circuit: { failures: 1, probeInterval: 600_000 },
  });
  for (const index of [0, 1]) server(index).connecting = 'shortage';
  const calls = Array.from({ length: 5 }, (_, login) => [
    outcomeOf(directory.withService(searchOnce(), { signal: never })),
    outcomeOf(directory.bindUser({ dn: `uid=${login}`, password: 'x' }, { signal: never })),
  ]);
  for (const outcome of await Promise.all(calls.flat())) {
    expect(outcome).toMatch(
      /^failed: no directory server could be asked: .*ldaps:\/\/a:636.*ldaps:\/\/b:636/,
    );
  }
  expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(0);
  expect(values.get('connects_total{server=ldaps://a:636,result=shortage}')).toBeGreaterThan(0);
  expect(lines).toEqual([]);
  server(0).connecting = 0;
  expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe('0 by a');
  await directory.close();
});

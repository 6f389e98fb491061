import { describe, expect, test } from 'vitest';
import { memoryDirectory, never, outcomeOf, searchOnce } from '../directory/testing/set-up.ts';
import { shortageOf } from './shortage.ts';

const problem = (code: string, syscall: string) => Object.assign(new Error(`${syscall} ${code}`), { code, syscall });

describe('shortageOf', () => {
  test.each([
    ['EMFILE', 'connect', /short of file descriptors: raise the limit of open files .*\(EMFILE\)/],
    ['ENFILE', 'connect', /fs\.file-max \(ENFILE\)/],
    ['EMFILE', 'getaddrinfo', /file descriptors/],
    ['EBUSY', 'getaddrinfo', /file descriptors/],
    ['EADDRNOTAVAIL', 'connect', /local ports/],
    ['EAI_MEMORY', 'getaddrinfo', /memory/],
    ['ENOMEM', 'querySrv', /memory/],
    ['ENOBUFS', 'connect', /buffers/],
  ])('takes %s of %s for a shortage of this machine', (code, syscall, words) => {
    expect(shortageOf(problem(code, syscall))).toMatch(words);
    expect(shortageOf(new AggregateError([problem('ECONNREFUSED', 'connect'), problem(code, syscall)]))).toMatch(words);
  });

  test.each([
    ['ECONNREFUSED', 'connect'],
    ['ETIMEDOUT', 'connect'],
    ['ENOTFOUND', 'getaddrinfo'],
    ['EAI_AGAIN', 'getaddrinfo'],
    ['ECONNREFUSED', 'querySrv'],
  ])('and %s of %s for none', (code, syscall) => {
    expect(shortageOf(problem(code, syscall))).toBeUndefined();
  });

  test('nor what is no error of the system', () => {
    for (const other of [new Error('x'), new AggregateError([]), 'x', undefined]) {
      expect(shortageOf(other)).toBeUndefined();
    }
  });
});

test('a shortage fails the logins that meet it, those that wait for the first connection too, and opens no circuit', async () => {
  const { directory, server, values, lines } = memoryDirectory(2, { circuit: { failures: 1, probeInterval: 600_000 } });
  for (const index of [0, 1]) server(index).connecting = 'shortage';
  const calls = Array.from({ length: 5 }, (_, login) => [
    outcomeOf(directory.withService(searchOnce(), { signal: never })),
    outcomeOf(directory.bindUser({ dn: `uid=${login}`, password: 'x' }, { signal: never })),
  ]);
  for (const outcome of await Promise.all(calls.flat())) {
    expect(outcome).toMatch(/^failed: no directory server could be asked: .*ldaps:\/\/a:636.*ldaps:\/\/b:636/);
  }
  expect(values.get('server_circuit_state{server=ldaps://a:636}')).toBe(0);
  expect(values.get('connects_total{server=ldaps://a:636,result=shortage}')).toBeGreaterThan(0);
  expect(lines).toEqual([]);
  server(0).connecting = 0;
  expect(await outcomeOf(directory.withService(searchOnce(), { signal: never }))).toBe('0 by a');
  await directory.close();
});

import { describe, expect, test } from 'vitest';
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

import { describe, expect, test } from 'vitest';
import { healthAnswer } from './health.ts';

const checks = [
  { name: 'config', ok: true },
  { name: 'shutdown', ok: false, reason: 'draining' },
];
const answer = (query: string, list = checks) => healthAnswer('readyz', list, new URLSearchParams(query));

describe('healthAnswer', () => {
  test.each([
    ['all well', '', checks.slice(0, 1), true, 'ok'],
    ['all well, verbose', 'verbose', checks.slice(0, 1), true, '[+]ping ok\n[+]config ok\nreadyz check passed\n'],
    [
      'one failed',
      '',
      checks,
      false,
      '[+]ping ok\n[+]config ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n',
    ],
    ['the failed one excluded', 'exclude=shutdown', checks, true, 'ok'],
    [
      'several excluded, one of them unknown',
      'verbose=true&exclude=shutdown&exclude=config&exclude=nope&exclude=no"',
      checks,
      true,
      '[+]ping ok\n[+]config excluded: ok\n[+]shutdown excluded: ok\n' +
        'warn: some health checks cannot be excluded: no matches for "nope","no\\""\nreadyz check passed\n',
    ],
  ])('%s', (_name, query, list, ok, body) => {
    expect(answer(query, list)).toEqual({ ok, body });
  });

  test('tells what does not decide with verbose only, marked where it failed', () => {
    const notes = [
      { name: 'authenticator/robots', ok: true },
      { name: 'authenticator/corp', ok: false, reason: 'no such base' },
    ];
    const told = (query: string) => healthAnswer('readyz', [], new URLSearchParams(query), notes);
    expect(told('verbose')).toEqual({
      ok: true,
      body:
        '[+]ping ok\n[+]authenticator/robots ok\n' +
        '[!]authenticator/corp failed: reason withheld, does not decide\nreadyz check passed\n',
    });
    expect(told('')).toEqual({ ok: true, body: 'ok' });
  });
});

import { describe, expect, test } from 'vitest';
import { UsageError } from '../output.ts';
import { type RequestOptions, readRequest, withProgress } from './issued-tokens.ts';

const now = Date.parse('2030-01-01T00:00:00Z');
const minimal = { user: 'jane', ttl: 8 * 3_600_000, by: 'ops' };

const problem = (options: Partial<RequestOptions>) => {
  try {
    readRequest({ ...minimal, ...options }, now);
    return 'taken';
  } catch (error) {
    return error instanceof UsageError ? error.message : error;
  }
};

test('what is left out stays out', () => {
  expect(readRequest(minimal, now)).toEqual({
    user: { username: 'jane' },
    expiresAt: new Date('2030-01-01T08:00:00Z'),
    issuedBy: 'ops',
  });
});

test('all that can be said is taken, and what is repeated once', () => {
  const request = readRequest(
    {
      ...minimal,
      ttl: Number.POSITIVE_INFINITY,
      uid: '7',
      group: ['dev', 'ops', 'dev'],
      extra: ['team=a', 'url=https://x?a=b', 'team=c', '__proto__=d'],
      audience: ['x', 'x'],
      notBefore: '2031-01-01T01:00:00+01:00',
      reason: 'a build',
    },
    now,
  );
  const extra = Object.fromEntries([
    ['team', ['a', 'c']],
    ['url', ['https://x?a=b']],
    ['__proto__', ['d']],
  ]);
  expect(request).toEqual({
    user: { username: 'jane', uid: '7', groups: ['dev', 'ops'], extra },
    audiences: ['x'],
    notBefore: new Date('2031-01-01T00:00:00Z'),
    issuedBy: 'ops',
    reason: 'a build',
  });
  expect(Object.keys(request.user.extra ?? {})).toContain('__proto__');
});

describe('--not-before', () => {
  test.each([
    {
      notBefore: '2030-01-01T08:00:00Z',
      message: '--not-before is not before the end of the token, 2030-01-01T08:00:00.000Z',
    },
    {
      notBefore: '2031-01-01T00:00:00Z',
      message: '--not-before is not before the end of the token',
    },
    {
      notBefore: 'tomorrow',
      message:
        '--not-before is not a time in RFC 3339 with its zone: write a time such as 2030-01-31T12:00:00Z',
    },
    {
      notBefore: '2030-01-01T01:00:00',
      message: '--not-before is not a time in RFC 3339 with its zone',
    },
    {
      notBefore: '2030-02-31T00:00:00Z',
      message: '--not-before is not a time in RFC 3339 with its zone',
    },
  ])('$notBefore is refused', ({ notBefore, message }) => {
    expect(problem({ notBefore })).toContain(message);
  });

  test('a moment before the end is taken', () => {
    expect(problem({ notBefore: '2030-01-01T07:59:59Z' })).toBe('taken');
  });
});

test.each(['team', '=a', 'team=', '', '='])('--extra "%s" is wrong usage', (pair) => {
  expect(problem({ extra: ['a=b', pair] })).toBe(
    `--extra: "${pair}" is not key=value: write it as in --extra team=build`,
  );
});

async function progress(isTTY: boolean, count: number): Promise<string> {
  const written: unknown[] = [];
  async function* items() {
    for (let one = 0; one < count; one++) yield one;
  }
  const stream = { isTTY, write: (text: string | Uint8Array) => written.push(text) > 0 };
  const seen: number[] = [];
  for await (const one of withProgress(items(), 'tokens', stream)) seen.push(one);
  expect(seen).toHaveLength(count);
  return written.join('');
}

test('on a terminal each thousand is shown, and removed at the end', async () => {
  expect(await progress(true, 2500)).toBe('\r1000 tokens …\r2000 tokens …\r\u001b[K');
});

test('a short listing is not shown', async () => {
  expect(await progress(true, 999)).toBe('');
});

test('elsewhere nothing is shown', async () => {
  expect(await progress(false, 2500)).toBe('');
});

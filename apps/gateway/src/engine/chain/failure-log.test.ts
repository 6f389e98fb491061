import { AuthenticatorError } from '@sallyport/authenticator';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { createFailureLog } from './failure-log.ts';

function recorded(time: { now: number } = { now: 0 }) {
  const lines: string[] = [];
  const logger = pino(
    { level: 'debug', base: null, timestamp: false },
    { write: (line: string) => lines.push(line) },
  );
  const log = createFailureLog(logger, () => time.now);
  const fail = (error: Error, authenticator = 'corp', token = 'a-token') =>
    log({ answers: [{ authenticator, seconds: 1, error }], token });
  return { lines, fail, log, parsed: () => lines.map((line) => JSON.parse(line)) };
}
const outage = new AuthenticatorError('unavailable', 'no answer within 3s');
const warn = 40;
const debug = 20;

describe('createFailureLog', () => {
  test('logs which authenticator could not check, and why', () => {
    const { fail, parsed } = recorded();
    fail(outage);
    expect(parsed()).toEqual([
      expect.objectContaining({
        level: warn,
        authenticator: 'corp',
        code: 'unavailable',
        reason: 'no answer within 3s',
      }),
    ]);
  });

  test('logs no answer', () => {
    const { log, lines } = recorded();
    const answer = {
      authenticator: 'corp',
      seconds: 1,
      decision: { kind: 'no-opinion' },
      recognized: true,
    } as const;
    log({ answers: [answer], token: 'a-token' });
    expect(lines).toEqual([]);
  });

  test('warns once in 10 s for each authenticator, and then says how many there were', () => {
    const time = { now: 0 };
    const { fail, parsed } = recorded(time);
    fail(outage);
    fail(outage);
    fail(outage, 'robots');
    time.now = 9_999;
    fail(outage);
    time.now = 10_000;
    fail(outage);
    expect(parsed().map(({ level }) => level)).toEqual([warn, debug, warn, debug, warn]);
    expect(parsed()[4]).toMatchObject({ unloggedSince: 2 });
  });

  test('logs an outage, however many tokens fail by themselves', () => {
    const time = { now: 0 };
    const { fail, parsed } = recorded(time);
    for (; time.now < 25_000; time.now += 50) {
      fail(new AuthenticatorError('failed', 'more than 20 lookups of one name in a second'));
      if (time.now === 12_050) fail(outage);
    }
    const warnings = parsed().filter(({ level }) => level === warn);
    expect(warnings.map(({ code }) => code)).toEqual(['failed', 'failed', 'unavailable', 'failed']);
  });

  test('removes the token from a message', () => {
    const { fail, lines } = recorded();
    fail(new AuthenticatorError('failed', 'no record for a-token'));
    expect(lines.join()).toContain('no record for [token]');
    expect(lines.join()).not.toContain('a-token');
  });

  test('names an error that is no AuthenticatorError by its stack, never by its message', () => {
    const { fail, lines, parsed } = recorded();
    fail(new SyntaxError('Unexpected token \'a\', "a-tok"... is not valid JSON'));
    expect(lines.join()).not.toContain('a-tok');
    expect(parsed()[0]).toMatchObject({
      type: 'SyntaxError',
      frames: expect.arrayContaining([expect.stringMatching(/^at /)]),
    });
  });

  test('keeps a message of several lines out of the frames', () => {
    const { fail, lines } = recorded();
    fail(new Error('first line\n    at a-token'));
    expect(lines.join()).not.toContain('a-token');
  });
});

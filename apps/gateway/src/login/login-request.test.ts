import { describe, expect, test } from 'vitest';
import { LoginError } from './login-error.ts';
import { parseLoginRequest } from './login-request.ts';

const good = { username: 'jane', password: 'hunter2hunter2' };

test.each([good, { ...good, cluster: 'prod', device: "jane's laptop 💻" }, { ...good, username: 'jané@example.com' }])(
  '%j is a login',
  (body) => {
    expect(parseLoginRequest(body)).toEqual(body);
  },
);

describe('what is no login is refused without a word of it:', () => {
  test.each([
    [undefined, 'the body'],
    [null, 'the body'],
    [[good], 'the body'],
    ['jane', 'the body'],
    [{ password: good.password }, 'username'],
    [{ ...good, username: '' }, 'username'],
    [{ ...good, username: 'x'.repeat(1025) }, 'username'],
    [{ ...good, username: 'a\ud800' }, 'username'],
    [{ ...good, password: '' }, 'password'],
    [{ ...good, password: 7 }, 'password'],
    [{ ...good, password: ['hunter2hunter2'] }, 'password'],
    [{ ...good, cluster: '' }, 'cluster'],
    [{ ...good, device: 'x'.repeat(65) }, 'device'],
    [{ ...good, device: 'a\nb' }, 'device'],
    [{ ...good, device: 'a\u202eb' }, 'device'],
    [{ ...good, device: 'a\ufffdb' }, 'device'],
    [{ ...good, hunter2hunter2: true }, 'the body'],
  ])('%j', (body, field) => {
    const error = (() => {
      try {
        return parseLoginRequest(body);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(LoginError);
    expect(error).toMatchObject({ status: 400, code: 'bad-request' });
    const { message } = error as LoginError;
    expect(message.startsWith(field)).toBe(true);
    expect(message).not.toContain('hunter2');
  });
});

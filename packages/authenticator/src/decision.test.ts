import { describe, expect, test } from 'vitest';
import { AuthenticatorError } from './decision.ts';

describe('AuthenticatorError', () => {
  test.each(['unavailable', 'failed'] as const)(
    'carries the code %s, the message and the cause',
    (code) => {
      const cause = new Error('ECONNREFUSED');
      const error = new AuthenticatorError(code, 'the directory does not answer', { cause });
      expect(error).toBeInstanceOf(Error);
      expect(error).toMatchObject({
        name: 'AuthenticatorError',
        code,
        message: 'the directory does not answer',
        cause,
      });
      expect(String(error)).toBe('AuthenticatorError: the directory does not answer');
    },
  );

  test('has no cause unless one is given', () => {
    expect(new AuthenticatorError('failed', 'bad record')).not.toHaveProperty('cause');
  });

  test('shows nothing but its code to code that serializes its own properties', () => {
    expect({ ...new AuthenticatorError('failed', 'bad record') }).toEqual({
      code: 'failed',
      name: 'AuthenticatorError',
    });
  });
});

describe('AuthenticatorError.is', () => {
  test('knows its own, and those of a subclass', () => {
    class DirectoryError extends AuthenticatorError {}
    expect(AuthenticatorError.is(new AuthenticatorError('failed', 'bad record'))).toBe(true);
    expect(AuthenticatorError.is(new DirectoryError('unavailable', 'no answer'))).toBe(true);
  });

  test('knows errors from another copy of this package', async () => {
    // A query makes Node and vitest evaluate the module a second time.
    const copy: typeof import('./decision.ts') = await import(`${'./decision.ts'}?copy`);
    expect(copy.AuthenticatorError).not.toBe(AuthenticatorError);
    const error = new copy.AuthenticatorError('unavailable', 'no answer');
    expect(error).not.toBeInstanceOf(AuthenticatorError);
    expect(AuthenticatorError.is(error)).toBe(true);
  });

  test.each([
    { name: 'another error', value: new Error('no answer') },
    {
      name: 'an error that only looks like one',
      value: Object.assign(new Error('x'), { name: 'AuthenticatorError', code: 'failed' }),
    },
    {
      name: 'an object with the brand',
      value: { [Symbol.for('@sallyport/authenticator/AuthenticatorError')]: true },
    },
    { name: 'a string', value: 'unavailable' },
    { name: 'null', value: null },
    { name: 'undefined', value: undefined },
  ])('is false for $name', ({ value }) => {
    expect(AuthenticatorError.is(value)).toBe(false);
  });
});

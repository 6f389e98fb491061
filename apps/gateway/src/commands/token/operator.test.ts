import { userInfo } from 'node:os';
import { afterEach, expect, test, vi } from 'vitest';
import { operatorName } from './operator.ts';

vi.mock('node:os', { spy: true });

afterEach(() => {
  vi.mocked(userInfo).mockReset();
});

test('the person behind sudo goes before the account', () => {
  expect(operatorName({ SUDO_USER: 'jane' })).toBe('jane');
});

test.each([{}, { SUDO_USER: '' }])('the account, with %j', (environment) => {
  expect(operatorName(environment)).toBe(userInfo().username);
});

test('the number of an account without a name, as in a container', () => {
  vi.mocked(userInfo).mockImplementation(() => {
    throw new Error('ENOENT: uv_os_get_passwd');
  });
  expect(operatorName({})).toBe(`uid ${process.getuid?.()}`);
});

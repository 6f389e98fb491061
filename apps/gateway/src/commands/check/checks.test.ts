import { expect, test } from 'vitest';
import { checks } from './checks.ts';

test('checks are printed in this order, under these names', () => {
  expect(checks.map(({ name }) => name)).toEqual([
    'config',
    'config',
    'config',
    'login',
    'TLS',
    'gateway',
    'server.listen',
    'admin.listen',
    'login.listen',
    'audit',
    'cache Redis',
    'second-factor Redis',
    'login TLS',
    'login',
    'authenticator',
    'token prefixes',
    'token stores',
    'shared names',
    'directory',
    'login',
    'second factor',
    'permissions',
    'permissions',
  ]);
});

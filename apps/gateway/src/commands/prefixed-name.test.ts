import { expect, test } from 'vitest';
import { requirePrefix } from './prefixed-name.ts';

const authenticator = (user: string, group: string) => ({
  username: { prefix: user },
  groups: { prefix: group, max: 10 },
});
const corp = authenticator('corp:', 'team:');
const robots = authenticator('robot:', 'team:');
const breakGlass = authenticator('', '');

test.each([
  ['a name with a prefix', 'corp:alice', [corp, robots, breakGlass]],
  ['any name where no authenticator has a prefix', 'alice', [breakGlass]],
  ['any name without an authenticator', 'alice', []],
])('%s passes', (_name, name, authenticators) => {
  expect(() => requirePrefix('user', name, authenticators)).not.toThrow();
});

test('without a prefix, the names that may be meant are listed', () => {
  expect(() => requirePrefix('user', 'alice', [corp, robots])).toThrow(
    /^nothing was done: --user alice begins with no prefix .*or add --exact.*:\n {2}--user corp:alice\n {2}--user robot:alice$/,
  );
});

test('an authenticator without a prefix does not disable the check: its name needs --exact', () => {
  expect(() => requirePrefix('user', 'alice', [breakGlass, corp])).toThrow(
    /Write one of these:\n {2}--user corp:alice\n {2}--user alice --exact$/,
  );
  expect(() => requirePrefix('user', 'alice', [breakGlass, corp], true)).not.toThrow();
});

test('a prefix of users is none of groups; two authenticators with one prefix are one candidate', () => {
  expect(() => requirePrefix('group', 'corp:alice', [corp, robots])).toThrow(/:\n {2}--group team:corp:alice$/);
});

test('the prefix alone is no name', () => {
  expect(() => requirePrefix('user', 'corp:', [corp])).toThrow('--user is the prefix alone: write --user corp:NAME');
});

test('candidates are quoted for a shell', () => {
  expect(() => requirePrefix('user', "o'neil $x", [corp])).toThrow(String.raw`--user 'corp:o'\''neil $x'`);
});

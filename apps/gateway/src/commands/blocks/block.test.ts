import { expect, test } from 'vitest';
import type { Entry } from '../../engine/revocation/list.ts';
import { createTestContext } from '../../testing/command-context.ts';
import { findEndable, findUnblock, requireBlock } from './block.ts';

const context = createTestContext();
const now = 1_000_000;
const block = (kind: Entry['kind'], name: string, until = now + 1): Entry => {
  return {
    id: `${kind}-${name}`,
    action: 'block',
    kind,
    name,
    revision: until,
    at: 1,
    until,
    keptUntil: until,
    by: 'ada',
  };
};
const digest = 'abcdef0123456789'.repeat(4);
const entries = [
  block('user', 'corp:jane'),
  block('group', 'ops'),
  block('token', digest),
  block('user', 'old', now),
];
const unreadable = { count: 0, until: 0, key: 'k' };
const listing = { revision: 'x', now, entries, fields: new Map(), unreadable };
const find = (kind: Entry['kind'], name: string, more: object = {}) =>
  requireBlock(context, { ...listing, ...more }, { kind, name });

test('a block is found by kind and whole name', () => {
  expect(find('user', 'corp:jane')).toBe(entries[0]);
  expect(find('token', digest)).toBe(entries[2]);
});

test.each<{ kind: Entry['kind']; name: string; message: string }>([
  {
    kind: 'user',
    name: 'corp:jnae',
    message:
      'user corp:jnae is not blocked: did you mean user corp:jane? If not, list all blocks: sallyport blocks',
  },
  {
    kind: 'group',
    name: 'corp:jane',
    message:
      'group corp:jane is not blocked: did you mean user corp:jane? If not, list all blocks: sallyport blocks',
  },
  {
    kind: 'user',
    name: 'unknown',
    message: 'user unknown is not blocked: list all blocks: sallyport blocks',
  },
  {
    kind: 'user',
    name: 'old',
    message: 'user old is not blocked: list all blocks: sallyport blocks',
  },
  {
    kind: 'token',
    name: digest.replace('a', 'b'),
    message:
      'token bbcdef012345 is not blocked: list all blocks: sallyport blocks. If you gave its digest as the token, write --digest in place of --token',
  },
])('$kind $name is not blocked', ({ kind, name, message }) => {
  expect(() => find(kind, name)).toThrow(expect.objectContaining({ message }));
});

test('says that the block may be among those that cannot be opened', () => {
  expect(() => find('user', 'x', { unreadable: { ...unreadable, count: 2 } })).toThrow(
    /2 entries of the revocation list can't be opened/,
  );
});

test('an unblock is found, to be repeated, until the block would have ended', () => {
  const unblock = (until: number) => ({
    ...block('user', 'corp:jane', until),
    action: 'unblock' as const,
    revision: 9e6,
  });
  const found = (...more: Entry[]) =>
    findUnblock({ now, entries: [...entries, ...more] }, { kind: 'user', name: 'corp:jane' });
  expect(found()).toBeUndefined();
  expect(found(unblock(now))).toBeUndefined();
  expect(found(unblock(now + 1))).toEqual(unblock(now + 1));
  // Blocked again since.
  expect(found(unblock(now + 1), { ...block('user', 'corp:jane'), revision: 9e7 })).toBeUndefined();
});

test('a block of a token is found by the first digits of its digest, unless several begin with them', () => {
  const other = `${digest.slice(0, 20)}${'0'.repeat(44)}`;
  const ended = { ...block('token', other), action: 'unblock' as const };
  const endable = (digits: string, ...more: Entry[]) =>
    findEndable(
      context,
      { ...listing, entries: [...entries, ...more] },
      { kind: 'token', name: digits },
    ).name;
  expect(endable(digest.slice(0, 8))).toBe(digest);
  expect(endable(digest.slice(0, 8), ended)).toBe(digest);
  expect(endable(other.slice(0, 21), ended)).toBe(other);
  expect(() => endable(digest.slice(0, 20), block('token', other))).toThrow(
    /several digests: give more digits of one of these:\n.*\n.*$/,
  );
  expect(endable(digest.slice(0, 21), block('token', other))).toBe(digest);
  expect(() => endable('00000000')).toThrow('token 00000000 is not blocked: ');
});

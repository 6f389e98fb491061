import { redisUsers } from '@sallyport/test-servers/redis-users';
import { describe, expect, test } from 'vitest';
import { readPage } from './testing/pages.ts';

const page = await readPage('docs/redis.md');
const linesOf = (text: string): readonly string[] => text.match(/^ *user .*$/gm) ?? [];

describe('the users of docs/redis.md', () => {
  test('are those with which tests start Redis, below the same headings', () => {
    const sections = page.split(/^#+ /m).map((section) => section.split(/\n(.*)/s));
    const documented = sections
      .map(([heading = '', text = '']) => [heading, linesOf(text)] as const)
      .filter(([, lines]) => lines.length > 0);
    expect(Object.fromEntries(documented)).toEqual(redisUsers);
  });

  test('have no right that the one user lacks, but those that are added for hashes', () => {
    const rightsIn = (line: string): readonly string[] => line.match(/(?<=\+)\S+/g) ?? [];
    const [everything] = redisUsers['One user for everything'];
    const [, added = ''] = /^- for `layout: hash` .*: `(.*)`\.$/m.exec(page) ?? [];
    const ofUsers = linesOf(page)
      .filter((line) => line.includes('~sallyport:'))
      .map((line) => line.replace(/ \(.*\)$/, ''));
    const [hashes = [], others = []] = [true, false].map((isHash) =>
      ofUsers.filter((line) => line.includes('+eval_ro') === isHash),
    );
    const missing = (lines: readonly string[], allowed: readonly string[]) =>
      lines.flatMap(rightsIn).filter((right) => !allowed.includes(right));
    expect([hashes.length, others.length]).toEqual([5, 8]);
    expect(missing(others, rightsIn(everything))).toEqual([]);
    expect(missing(hashes, [...rightsIn(everything), ...rightsIn(added)])).toEqual([]);
  });
});

import { expect, test } from 'vitest';
import { countRooms } from './room-count.ts';

const picture = {
  source: 'apps/house/src',
  rows: [['cli.ts'], ['attic', 'tower'], ['cellar'], ['*.ts']],
};
const imports = (...arrows: readonly (readonly [from: string, to: string])[]) =>
  arrows.map(([from, to]) => ({ from: `apps/house/src/${from}`, to: `apps/house/src/${to}` }));

test('rooms are counted, and each arrow from one to another once', () => {
  const files = imports(
    ['cli.ts', 'attic/a.ts'],
    ['attic/a.ts', 'attic/deep/b.ts'],
    ['attic/a.ts', 'cellar/c.ts'],
    ['attic/deep/b.ts', 'cellar/d.ts'],
    ['cellar/c.ts', 'clock.ts'],
    ['tower/t.ts', 'shelf.ts'],
  );
  expect(countRooms(picture, files)).toEqual({ rooms: 5, floors: 4, arrows: 4, inCircles: [] });
});

test('tests, test support and other source folders do not count', () => {
  const files = [
    ...imports(
      ['cli.ts', 'attic/a.ts'],
      ['attic/a.test.ts', 'cli.ts'],
      ['attic/a.load.ts', 'cli.ts'],
      ['attic/testing/some.ts', 'cli.ts'],
    ),
    { from: 'apps/house/src/attic/a.ts', to: 'apps/houses/src/cellar/c.ts' },
  ];
  expect(countRooms(picture, files)).toEqual({ rooms: 2, floors: 2, arrows: 1, inCircles: [] });
});

test('rooms that import each other by way of others are named', () => {
  const files = imports(
    ['cli.ts', 'attic/a.ts'],
    ['attic/a.ts', 'cellar/c.ts'],
    ['cellar/d.ts', 'clock.ts'],
    ['clock.ts', 'attic/b.ts'],
  );
  expect(countRooms(picture, files).inCircles.toSorted()).toEqual(['*.ts', 'attic', 'cellar']);
});

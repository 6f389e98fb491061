import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import configuration from './dependency-cruiser.ts';
import { rulesOfFolders } from './folder-order.ts';

const picture = `
\`\`\`folders
apps/house/src
  index.ts
  attic  tower
  cellar
  *.ts

apps/shed/src
  *.ts
  box
\`\`\`
`;

describe('the order of the folders', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'folder-order-')));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** @returns each violation as `rule: from → to` */
  async function check(files: Readonly<Record<string, string>>): Promise<string[]> {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const ruleSet = { forbidden: rulesOfFolders(picture) };
    const options = { ...configuration.options, baseDir: folder, ruleSet, validate: true };
    const { output } = await cruise(['apps'], options);
    return (output as ICruiseResult).summary.violations.map(
      ({ rule, from, to }) => `${rule.name}: ${from} → ${to}`,
    );
  }

  const leaf = 'export type Leaf = string;';
  const relativePath = (from: string, to: string) => `./${relative(dirname(from), to)}`;
  const imports = (path: string) =>
    `import type { Leaf } from '${path}';\nexport type Other = Leaf;`;

  test('lets a file import from its own folder and from all rows below', async () => {
    expect(
      await check({
        'apps/house/src/index.ts': imports('./attic/a.ts'),
        'apps/house/src/attic/a.ts': imports('./b.ts'),
        'apps/house/src/attic/b.ts': imports('../clock.ts'),
        'apps/house/src/tower/t.ts': imports('../cellar/c.ts'),
        'apps/house/src/cellar/c.ts': imports('../clock.ts'),
        'apps/house/src/clock.ts': leaf,
        'apps/shed/src/index.ts': imports('./box/b.ts'),
        'apps/shed/src/box/b.ts': leaf,
      }),
    ).toEqual([]);
  });

  test.each([
    {
      name: 'a folder above',
      from: 'apps/house/src/cellar/c.ts',
      to: 'apps/house/src/attic/a.ts',
      place: 'apps/house/src/cellar',
    },
    {
      name: 'a folder next to it',
      from: 'apps/house/src/tower/t.ts',
      to: 'apps/house/src/attic/a.ts',
      place: 'apps/house/src/tower',
    },
    {
      name: 'a named file above',
      from: 'apps/house/src/cellar/c.ts',
      to: 'apps/house/src/index.ts',
      place: 'apps/house/src/cellar',
    },
    {
      name: 'a folder above a file',
      from: 'apps/house/src/clock.ts',
      to: 'apps/house/src/cellar/c.ts',
      place: 'apps/house/src/*.ts',
    },
    {
      name: 'a file above',
      from: 'apps/shed/src/box/b.ts',
      to: 'apps/shed/src/a.ts',
      place: 'apps/shed/src/box',
    },
    {
      name: 'a folder above, from a test',
      from: 'apps/house/src/cellar/c.test.ts',
      to: 'apps/house/src/attic/a.ts',
      place: 'apps/house/src/cellar',
    },
  ])('refuses an import of only a type from $name', async ({ from, to, place }) => {
    const found = await check({ [from]: imports(relativePath(from, to)), [to]: leaf });
    expect(found).toEqual([`arrow up from ${place}: ${from} → ${to}`]);
  });

  test('refuses files of one folder that import types of each other', async () => {
    const [one, other] = ['apps/house/src/attic/a.ts', 'apps/house/src/attic/b.ts'];
    const found = await check({
      [one]: `${imports('./b.ts')}\n${leaf}`,
      [other]: `${imports('./a.ts')}\n${leaf}`,
    });
    expect(found).toEqual([`cycle: ${one} → ${other}`]);
  });

  test('lets tests of every row share test support, which imports what they test', async () => {
    expect(
      await check({
        'apps/house/src/cellar/c.test.ts': imports('../testing/set-up.ts'),
        'apps/house/src/testing/set-up.ts': imports('../attic/a.ts'),
        'apps/house/src/attic/a.ts': leaf,
      }),
    ).toEqual([]);
  });

  test.each(['testing', 'cellar/testing'])(
    'refuses an import of %s from what is no test',
    async (support) => {
      const [from, to] = ['apps/house/src/cellar/c.ts', `apps/house/src/${support}/set-up.ts`];
      const found = await check({ [from]: imports(relativePath(from, to)), [to]: leaf });
      expect(found).toEqual([`test support in what runs: ${from} → ${to}`]);
    },
  );

  test('refuses a folder that is not in the picture, and folders without a picture', async () => {
    const [garage, loft] = ['apps/house/src/garage/a.ts', 'apps/barn/src/loft/a.ts'];
    const found = await check({
      [garage]: imports('../clock.ts'),
      'apps/house/src/clock.ts': leaf,
      [loft]: imports('../clock.ts'),
      'apps/barn/src/clock.ts': leaf,
    });
    expect(found.sort()).toEqual([
      `no picture of these folders: ${loft} → apps/barn/src/clock.ts`,
      `no place in the picture of apps/house/src: ${garage} → apps/house/src/clock.ts`,
    ]);
  });

  test('needs a picture', () => {
    expect(() => rulesOfFolders('# How it is made')).toThrow('no picture of folders was found');
  });
});

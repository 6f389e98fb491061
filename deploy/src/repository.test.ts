import { globSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, matchesGlob } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { rootFolder } from './run.ts';

const read = (file: string) => readFile(join(rootFolder, file), 'utf8');

/** The names of all packages that manifests and the catalog name, with Renovate's names for Node and pnpm. */
async function dependencies(): Promise<readonly string[]> {
  const files = globSync('{.,*,*/*}/package.json', {
    cwd: rootFolder,
    exclude: ['**/node_modules', '**/dist'],
  });
  const manifests = await Promise.all(files.map(async (file) => JSON.parse(await read(file))));
  const named = manifests.flatMap((manifest) =>
    ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
      Object.keys(manifest[kind] ?? {}),
    ),
  );
  return [...named, 'node', 'pnpm'];
}

test('renovate.json groups only packages that are there, and finds the version of Node', async () => {
  const { packageRules, customManagers } = JSON.parse(await read('renovate.json'));
  const patterns: string[] = packageRules.flatMap(
    ({ matchPackageNames = [] }: { matchPackageNames?: string[] }) => matchPackageNames,
  );
  const names = await dependencies();
  expect(patterns.filter((pattern) => !names.some((name) => matchesGlob(name, pattern)))).toEqual(
    [],
  );

  const [{ managerFilePatterns, matchStrings }] = customManagers;
  expect('pnpm-workspace.yaml').toMatch(new RegExp(managerFilePatterns[0].slice(1, -1)));
  const workspace = await read('pnpm-workspace.yaml');
  expect(new RegExp(matchStrings[0]).exec(workspace)?.groups?.currentValue).toBe(
    parse(workspace).nodeVersion,
  );
});

test('.editorconfig indents as biome.json does', async () => {
  const { formatter } = JSON.parse(await read('biome.json'));
  const text = await read('.editorconfig');
  const settingOf = (key: string) => new RegExp(`^${key} = (.*)$`, 'm').exec(text)?.[1];
  expect(settingOf('indent_style')).toBe(formatter.indentStyle);
  expect(settingOf('indent_size')).toBe(String(formatter.indentWidth ?? 2));
  expect(settingOf('max_line_length')).toBe(String(formatter.lineWidth));
});

test('the forms for issues have what GitHub asks of them', async () => {
  const folder = '.github/ISSUE_TEMPLATE';
  const files = (await readdir(join(rootFolder, folder))).filter((name) => name !== 'config.yml');
  expect(files.sort()).toEqual(['bug.yml', 'feature.yml']);
  for (const file of files) {
    const { name, description, body } = parse(await read(join(folder, file)));
    expect([typeof name, typeof description]).toEqual(['string', 'string']);
    const fields = body.filter(({ type }: { type: string }) => type !== 'markdown');
    const ids = fields.map(({ id }: { id: string }) => id);
    expect(new Set(ids).size).toBe(fields.length);
    for (const { attributes } of fields) expect(typeof attributes.label).toBe('string');
  }
  const { contact_links: links } = parse(await read(join(folder, 'config.yml')));
  expect(links[0].about).toContain('SECURITY.md');
});

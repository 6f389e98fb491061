import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { publicPackages } from '../packages.ts';
import { rootFolder } from '../run.ts';

/** A change as users read it, with the packages that it concerns. */
export interface Change {
  readonly text: string;
  readonly bump: string;
  readonly packages: readonly string[];
}

const bumps = ['major', 'minor', 'patch'] as const;

const titles: Readonly<Record<string, string>> = {
  major: 'What breaks',
  minor: 'What is new',
  patch: 'What is better',
};

/** Reads a changeset. @returns undefined when it concerns no package */
function readChangeset(text: string): Change | undefined {
  const [, head = '', body = ''] = /^---\n(.*?)^---\n(.*)$/ms.exec(text) ?? [];
  const concerned = Object.entries((parse(head) ?? {}) as Record<string, string>);
  if (concerned.length === 0) return;
  const bump = bumps.find((one) => concerned.some(([, found]) => found === one)) ?? 'patch';
  return { text: body.trim(), bump, packages: concerned.map(([name]) => name) };
}

/** The changesets that no version contains yet. */
export async function pendingChanges(
  folder: string = join(rootFolder, '.changeset'),
): Promise<readonly Change[]> {
  const names = (await readdir(folder))
    .filter((name) => name.endsWith('.md') && name !== 'README.md')
    .sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.map(readChangeset).filter((change) => change !== undefined);
}

/** Finds the changes of a version in the text of a CHANGELOG.md, as changesets writes it. */
export function changesIn(changelog: string, version: string, name: string): readonly Change[] {
  const section = changelog.split(/^## /m).find((one) => one.startsWith(`${version}\n`)) ?? '';
  return section
    .split(/^### /m)
    .slice(1)
    .flatMap((part) => {
      const bump = part.split(' ')[0]?.toLowerCase() ?? '';
      const items = part.split(/^- /m).slice(1);
      const texts = items.map((item) =>
        item
          .replace(/^[0-9a-f]{7,}: /, '')
          .replaceAll(/^ {2}/gm, '')
          .trim(),
      );
      return texts
        .filter((text) => text !== '' && !text.startsWith('Updated dependencies'))
        .map((text) => ({ text, bump, packages: [name] }));
    });
}

/** The changes of a version, from the CHANGELOG.md of each package. */
export async function releasedChanges(version: string): Promise<readonly Change[]> {
  const all = await Promise.all(
    (await publicPackages()).map(async ({ folder, manifest }) => {
      const file = join(folder, 'CHANGELOG.md');
      return existsSync(file)
        ? changesIn(await readFile(file, 'utf8'), version, manifest.name)
        : [];
    }),
  );
  return all.flat();
}

/** Writes release notes. A change that several packages have is there once. */
export function releaseNotes(version: string, changes: readonly Change[]): string {
  const merged = new Map<string, Change>();
  for (const change of changes) {
    const before = merged.get(change.text);
    const packages = [...new Set([...(before?.packages ?? []), ...change.packages])].sort();
    const bump = bumps.find((one) => one === before?.bump || one === change.bump) ?? 'patch';
    merged.set(change.text, { text: change.text, bump, packages });
  }
  const parts = bumps.map((bump) => {
    const own = [...merged.values()].filter((change) => change.bump === bump);
    const items = own.map(({ text, packages }) => {
      const names = packages.map((name) => `\`${name}\``).join(', ');
      return `- ${text.replaceAll('\n', '\n  ')}\n\n  ${names}\n`;
    });
    return items.length === 0 ? '' : `\n## ${titles[bump]}\n\n${items.join('')}`;
  });
  return `# Sallyport ${version}\n${parts.join('')}`;
}

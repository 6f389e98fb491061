import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Token } from 'markdown-it';
import { markdown, readAttribute, readText } from './markdown.ts';

/** What search finds: a heading, with what is between it and the next one. */
interface Section {
  readonly heading: string;
  readonly anchor: string;
  readonly text: string;
}

/** A link or a picture in a page. */
export interface Reference {
  readonly token: Token;
  readonly attribute: 'href' | 'src';
  readonly target: string;
  readonly line: number;
}

/** A file of the repository that becomes a page of the site. */
export interface Source {
  /** Its path from the root of the repository. */
  readonly path: string;
  readonly title: string;
  /** Empty unless it is rendered. */
  readonly tokens: readonly Token[];
  readonly anchors: readonly string[];
  readonly references: readonly Reference[];
  readonly sections: readonly Section[];
  /** The text of a file that is shown as it is, or the names in a folder. */
  readonly content: string | readonly string[] | undefined;
}

/**
 * Reads what becomes a page of the site.
 *
 * @param path from `root`; it must exist
 * @param isPage whether it is Markdown to render. Otherwise a file is shown as it is, and a folder as a list of its files
 */
export function readSource(root: string, path: string, isPage: boolean): Source {
  const file = join(root, path);
  const empty = { path, title: path, tokens: [], anchors: [], references: [], sections: [] };
  if (statSync(file).isDirectory()) {
    const entries = readdirSync(file, { withFileTypes: true });
    const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    return { ...empty, content: names.toSorted() };
  }
  const text = readFileSync(file, 'utf8');
  if (!isPage) return { ...empty, content: text };
  const tokens = markdown.parse(text, {});
  const sections = readSections(tokens);
  return {
    path,
    title: sections[0]?.heading ?? path,
    tokens,
    anchors: sections.map(({ anchor }) => anchor),
    references: readReferences(tokens),
    sections,
    content: undefined,
  };
}

/** Whether a path of the repository can be linked to. A folder counts by its README, if it has one. */
export function findTarget(root: string, path: string): string | undefined {
  if (!existsSync(join(root, path))) return undefined;
  const readme = join(path, 'README.md');
  return existsSync(join(root, readme)) ? readme : path.replace(/\/$/, '');
}

function readSections(tokens: readonly Token[]): Section[] {
  const sections: { heading: string; anchor: string; text: string }[] = [];
  for (const [at, token] of tokens.entries()) {
    if (token.type === 'heading_open')
      sections.push({
        heading: readText(tokens[at + 1]),
        anchor: readAttribute(token, 'id'),
        text: '',
      });
    const isText = token.type === 'inline' && tokens[at - 1]?.type !== 'heading_open';
    const isCode = token.type === 'fence' && token.info !== 'mermaid';
    const section = sections.at(-1);
    if (section !== undefined && (isText || isCode)) section.text += `${readText(token)}\n`;
  }
  return sections;
}

function readReferences(tokens: readonly Token[]): Reference[] {
  return tokens.flatMap(({ children, map }) =>
    (children ?? []).flatMap((token): Reference[] => {
      const attribute = { link_open: 'href' as const, image: 'src' as const }[token.type];
      if (attribute === undefined) return [];
      const target = readAttribute(token, attribute);
      return [{ token, attribute, target, line: (map?.[0] ?? 0) + 1 }];
    }),
  );
}

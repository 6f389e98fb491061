import { dirname, posix } from 'node:path';
import { markdown, readAttribute } from './markdown.ts';

/** The page that lists all others. */
export const indexPath = 'docs/README.md';

/** A page that the sidebar leads to. */
interface IndexedPage {
  readonly title: string;
  /** Its path from the root of the repository, such as `docs/login.md`. */
  readonly path: string;
}

/** A heading of the index, with the pages below it. */
export interface PageGroup {
  readonly title: string;
  readonly pages: readonly IndexedPage[];
}

/** Reads the groups of the index: each heading of the second level, and the links below it. */
export function readIndex(text: string): readonly PageGroup[] {
  const groups: { title: string; pages: IndexedPage[] }[] = [];
  const tokens = markdown.parse(text, {});
  for (const [at, token] of tokens.entries()) {
    if (token.type !== 'inline') continue;
    const opening = tokens[at - 1];
    if (opening?.type === 'heading_open') {
      if (opening.tag === 'h2') groups.push({ title: token.content, pages: [] });
      continue;
    }
    for (const [place, child] of (token.children ?? []).entries()) {
      if (child.type !== 'link_open') continue;
      const title = token.children?.[place + 1]?.content ?? '';
      const path = posix.join(dirname(indexPath), readAttribute(child, 'href'));
      groups.at(-1)?.pages.push({ title, path });
    }
  }
  return groups;
}

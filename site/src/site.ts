import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { linkBetween, nameOutput, renderPage, type Site } from './layout.ts';
import { indexPath, readIndex } from './page-index.ts';
import { findTarget, type Reference, readSource, type Source } from './source.ts';

const require = createRequire(import.meta.url);

/** The scripts and styles of the site, by their name in `assets`. */
const assets = {
  'mermaid.js': require.resolve('@mermaid-js/tiny/dist/mermaid.tiny.js'),
  'minisearch.js': require
    .resolve('minisearch')
    .replace('/dist/cjs/index.cjs', '/dist/umd/index.js'),
};

/**
 * Builds the site from the Markdown files of a repository. Each page that the index names is a page of the sidebar. Other files that pages link
 * to are included, so that all links work offline, and show this version.
 *
 * @param root the folder of the repository
 * @param out the folder of the site; what was there is removed
 * @returns the number of pages
 * @throws Error with all links that lead nowhere. Then nothing is written
 */
export function buildSite(root: string, out: string): number {
  const { version } = JSON.parse(readFileSync(join(root, 'apps/gateway/package.json'), 'utf8'));
  const groups = readIndex(readFileSync(join(root, indexPath), 'utf8'));
  const site: Site = {
    version,
    groups: [{ title: '', pages: [{ title: 'All pages', path: indexPath }] }, ...groups],
  };
  const indexed = site.groups.flatMap(({ pages }) => pages.map(({ path }) => path));
  const { sources, images, problems } = collectSources(root, indexed);
  if (problems.length > 0) throw new Error(problems.join('\n'));

  rmSync(out, { recursive: true, force: true });
  for (const source of sources.values())
    write(out, nameOutput(source.path), renderPage(site, source));
  for (const image of images) {
    mkdirSync(dirname(join(out, image)), { recursive: true });
    copyFileSync(join(root, image), join(out, image));
  }
  cpSync(fileURLToPath(new URL('page/', import.meta.url)), join(out, 'assets'), {
    recursive: true,
  });
  for (const [name, file] of Object.entries(assets)) copyFileSync(file, join(out, 'assets', name));
  const found = indexed.flatMap((path) => listSections(sources.get(path)));
  write(out, 'assets/search-index.js', `globalThis.searchIndex = ${JSON.stringify(found)};\n`);
  return sources.size;
}

function write(out: string, name: string, text: string): void {
  mkdirSync(dirname(join(out, name)), { recursive: true });
  writeFileSync(join(out, name), text);
}

/** Lists what search finds on a page. */
function listSections(source: Source | undefined): readonly object[] {
  if (source === undefined) return [];
  return source.sections.map(({ heading, anchor, text }) => ({
    id: `${nameOutput(source.path)}#${anchor}`,
    page: source.title,
    heading,
    text,
  }));
}

interface Collected {
  readonly sources: ReadonlyMap<string, Source>;
  readonly images: ReadonlySet<string>;
  /** The links that lead nowhere, each with the file and line. */
  readonly problems: readonly string[];
}

/** Reads the pages at these paths, and the files that they link to, and makes their links those of the site. */
function collectSources(root: string, paths: readonly string[]): Collected {
  const sources = new Map<string, Source>();
  const images = new Set<string>();
  const problems: string[] = [];
  const waiting = [...paths];
  const anchored: { source: Source; reference: Reference; path: string; anchor: string }[] = [];
  for (const path of waiting) {
    if (sources.has(path)) continue;
    if (findTarget(root, path) === undefined) {
      problems.push(`${indexPath}: there is no page ${path}`);
      continue;
    }
    const source = readSource(root, path, paths.includes(path));
    sources.set(path, source);
    if (Array.isArray(source.content))
      waiting.push(...source.content.map((name) => `${path}/${name}`));
    for (const reference of source.references) {
      const { token, attribute, target, line } = reference;
      if (/^[a-z]+:/.test(target)) continue;
      const [file = '', anchor] = decodeURI(target).split('#');
      const linked = file === '' ? path : findTarget(root, posix.join(posix.dirname(path), file));
      if (linked === undefined) {
        problems.push(`${path}:${line}: ${target} does not exist`);
        continue;
      }
      const isImage = attribute === 'src';
      if (isImage) images.add(linked);
      else waiting.push(linked);
      if (anchor !== undefined) anchored.push({ source, reference, path: linked, anchor });
      const link = linkBetween(nameOutput(path), isImage ? linked : nameOutput(linked));
      token.attrSet(attribute, anchor === undefined ? link : `${link}#${anchor}`);
    }
  }
  for (const { source, reference, path, anchor } of anchored)
    if (!sources.get(path)?.anchors.includes(anchor))
      problems.push(
        `${source.path}:${reference.line}: ${reference.target}: ${path} has no such heading`,
      );
  return { sources, images, problems };
}

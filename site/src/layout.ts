import { posix } from 'node:path';
import { markdown, readAttribute } from './markdown.ts';
import type { PageGroup } from './page-index.ts';
import type { Source } from './source.ts';

const { escapeHtml } = markdown.utils;

/** What all pages of a site show. */
export interface Site {
  readonly version: string;
  readonly groups: readonly PageGroup[];
}

/**
 * The file of the site that shows a file of the repository. A README is the index of its folder, as on GitHub. No name begins with a dot:
 * servers and artifacts leave out hidden files.
 */
export function nameOutput(file: string): string {
  const path = file.replaceAll(/(^|\/)\./g, '$1');
  if (/(^|\/)README\.md$/.test(path)) return path.replace(/README\.md$/, 'index.html');
  return path.endsWith('.md') ? path.replace(/\.md$/, '.html') : `${path}.html`;
}

/** The relative link from one file of the site to another: it works below any path, and without a server. */
export function linkBetween(from: string, to: string): string {
  return posix.relative(posix.dirname(from), to);
}

/** Writes a page of the site. The links in its tokens must already be those of the site. */
export function renderPage({ version, groups }: Site, source: Source): string {
  const output = nameOutput(source.path);
  const link = (to: string) => escapeHtml(linkBetween(output, to));
  const hasPicture = source.tokens.some(({ info }) => info === 'mermaid');
  const sidebar = groups.map(({ title, pages }) => {
    const items = pages.map(({ title, path }) => {
      const current = path === source.path ? ' aria-current="page"' : '';
      return `<li><a href="${link(nameOutput(path))}"${current}>${escapeHtml(title)}</a></li>`;
    });
    return `<h2>${escapeHtml(title)}</h2>\n<ul>\n${items.join('\n')}\n</ul>`;
  });
  return `<!doctype html>
<html lang="en" data-root="${link('.') || '.'}/">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(source.title)} · Sallyport ${escapeHtml(version)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${link('assets/site.css')}">
<script src="${link('assets/theme.js')}"></script>
<script src="${link('assets/site.js')}" defer></script>
${hasPicture ? `<script src="${link('assets/mermaid.js')}" defer></script>\n<script src="${link('assets/pictures.js')}" defer></script>\n` : ''}</head>
<body>
<header>
<button type="button" id="menu" aria-expanded="false" aria-controls="sidebar">Menu</button>
<a class="name" href="${link('index.html')}">Sallyport</a> <span class="version">${escapeHtml(version)}</span>
<search><input type="search" id="search" placeholder="Search (/)" aria-label="Search the documentation" autocomplete="off"><div id="results" role="status" hidden></div></search>
<button type="button" id="theme">Dark or light</button>
</header>
<nav id="sidebar" aria-label="Pages">
${sidebar.join('\n')}
</nav>
<main>
${renderContent(source)}
</main>
${renderOutline(source)}
</body>
</html>
`;
}

function renderContent({ path, tokens, content }: Source): string {
  if (content === undefined) return markdown.renderer.render([...tokens], markdown.options, {});
  const title = `<h1>${escapeHtml(path)}</h1>\n`;
  if (typeof content === 'string') return `${title}<pre><code>${escapeHtml(content)}</code></pre>`;
  const folder = posix.basename(path);
  const items = content.map((name) => {
    const href = escapeHtml(`${folder}/${nameOutput(name)}`);
    return `<li><a href="${href}">${escapeHtml(name)}</a></li>`;
  });
  return `${title}<ul>\n${items.join('\n')}\n</ul>`;
}

/** The links to the headings of the second level, unless there are fewer than two. */
function renderOutline({ tokens, sections }: Source): string {
  const anchors = tokens.filter(({ tag, type }) => type === 'heading_open' && tag === 'h2');
  if (anchors.length < 2) return '';
  const items = anchors.map((token) => {
    const anchor = readAttribute(token, 'id');
    const heading = sections.find((section) => section.anchor === anchor)?.heading ?? '';
    return `<li><a href="#${escapeHtml(anchor)}">${escapeHtml(heading)}</a></li>`;
  });
  return `<aside aria-label="On this page"><ul>\n${items.join('\n')}\n</ul></aside>`;
}

import createMarkdown, { type MarkdownIt, type Token } from 'markdown-it';

/**
 * Reads and renders Markdown as GitHub does. Raw HTML is shown as text: the pages use none but comments, which are left out. It reads
 * the same tokens for links, headings and search, so that these agree with what is shown.
 */
export const markdown: MarkdownIt = createMarkdown({ html: true });

const { escapeHtml } = markdown.utils;
const { rules } = markdown.renderer;

rules.html_block = (tokens, at) => escapeUnlessComment(tokens[at]?.content ?? '');
rules.html_inline = rules.html_block;
rules.table_open = () => '<div class="wide"><table>\n';
rules.table_close = () => '</table></div>\n';
rules.fence = (tokens, at) => {
  const { content = '', info = '' } = tokens[at] ?? {};
  const [language = ''] = info.split(' ');
  if (language === 'mermaid') return `<pre class="picture">${escapeHtml(content)}</pre>\n`;
  return `<pre><code>${escapeHtml(content)}</code></pre>\n`;
};
rules.heading_open = (tokens, at) => {
  const token = tokens[at] as Token;
  const id = escapeHtml(readAttribute(token, 'id'));
  return `<${token.tag} id="${id}"><a class="anchor" href="#${id}" aria-label="Link to this section">#</a>`;
};

// `> [!WARNING]` begins a note, as on GitHub.
markdown.core.ruler.after('block', 'note', ({ tokens }) => {
  for (const [at, token] of tokens.entries()) {
    const [quote, paragraph] = [tokens[at - 2], tokens[at - 1]];
    if (quote?.type !== 'blockquote_open' || paragraph?.type !== 'paragraph_open') continue;
    const [mark, kind = ''] =
      /^\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\n/.exec(token.content) ?? [];
    if (mark === undefined) continue;
    quote.attrSet('class', `note ${kind.toLowerCase()}`);
    const label = kind.charAt(0) + kind.slice(1).toLowerCase();
    token.content = `**${label}:** ${token.content.slice(mark.length)}`;
  }
});

// The anchors of headings are GitHub's, so that a link works in both.
markdown.core.ruler.push('anchors', ({ tokens }) => {
  const counts = new Map<string, number>();
  for (const [at, token] of tokens.entries()) {
    if (token.type !== 'heading_open') continue;
    const anchor = readText(tokens[at + 1])
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    const count = counts.get(anchor) ?? 0;
    counts.set(anchor, count + 1);
    token.attrSet('id', count === 0 ? anchor : `${anchor}-${count}`);
  }
});

function escapeUnlessComment(html: string): string {
  return /^\s*<!--.*?-->\s*$/s.test(html) ? '' : escapeHtml(html);
}

/** Reads the words of a heading, a paragraph or a code block, without its markup. */
export function readText(token: Token | undefined): string {
  if (token === undefined) return '';
  if (token.type !== 'inline') return token.content;
  return (token.children ?? [])
    .map(({ type, content }) =>
      type.endsWith('break') ? ' ' : type === 'html_inline' ? '' : content,
    )
    .join('');
}

/** Reads an attribute of a token. Empty if it has none of this name. */
export function readAttribute(token: Token, name: string): string {
  return String(token.attrGet(name) ?? '');
}

/** Builds the documentation's site from the Markdown files into `site/dist`: `pnpm run docs`. It needs no network. */
import { fileURLToPath } from 'node:url';
import { buildSite } from './site.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const out = fileURLToPath(new URL('../dist/', import.meta.url));
try {
  const pages = buildSite(root, out);
  console.log(`${pages} pages are in ${out}: open ${out}index.html`);
} catch (error) {
  console.error(
    `error: the site was not built:\n${error instanceof Error ? error.message : error}`,
  );
  process.exitCode = 1;
}

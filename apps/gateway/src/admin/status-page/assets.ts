import { existsSync, readFileSync } from 'node:fs';

/** One file of the page, as it is served. */
export interface Asset {
  readonly contentType: string;
  readonly body: Buffer;
}

const html = 'text/html; charset=utf-8';
const css = 'text/css; charset=utf-8';
const script = 'text/javascript; charset=utf-8';
const text = 'text/plain; charset=utf-8';

/** All that is served, by its path. No file is ever named by a request. */
const files: Readonly<Record<string, readonly [contentType: string, file: URL]>> = {
  '/': [html, new URL('./page/index.html', import.meta.url)],
  '/status/icon.svg': ['image/svg+xml', new URL('./page/icon.svg', import.meta.url)],
  '/status/base.css': [css, new URL('./page/base.css', import.meta.url)],
  '/status/parts.css': [css, new URL('./page/parts.css', import.meta.url)],
  '/status/main.js': [script, new URL('./page/main.js', import.meta.url)],
  '/status/chain-view.js': [script, new URL('./page/chain-view.js', import.meta.url)],
  '/status/element.js': [script, new URL('./page/element.js', import.meta.url)],
  '/status/facts-view.js': [script, new URL('./page/facts-view.js', import.meta.url)],
  '/status/notices.js': [script, new URL('./page/notices.js', import.meta.url)],
  '/status/plots.js': [script, new URL('./page/plots.js', import.meta.url)],
  '/status/recent-view.js': [script, new URL('./page/recent-view.js', import.meta.url)],
  '/status/words.js': [script, new URL('./page/words.js', import.meta.url)],
  // The page asks no other host, so what it links to is served beside it, where the docs are there.
  '/status/operations.md': [text, new URL('../../../../../docs/operations.md', import.meta.url)],
  '/status/uplot.css': [css, new URL(import.meta.resolve('uplot/dist/uPlot.min.css'))],
  '/status/uplot.js': [script, new URL(import.meta.resolve('uplot/dist/uPlot.esm.js'))],
};

/** Reads them once: 300 KB, most of it the plotting library. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const present = Object.entries(files).filter(([, [type, file]]) => type !== text || existsSync(file));
  return new Map(present.map(([path, [contentType, file]]) => [path, { contentType, body: readFileSync(file) }]));
}

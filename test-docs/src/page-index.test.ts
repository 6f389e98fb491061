import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { find, readPage } from './testing/pages.ts';

test('docs/README.md, which is also the sidebar of the site, names each page once', async () => {
  const index = await readPage('docs/README.md');
  const named = [...index.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) =>
    posix.join('docs', link),
  );
  const pages = [
    ...find('*.md'),
    ...find('docs/**/*.md').filter((page) => page !== 'docs/README.md'),
    ...find('{apps,packages,deploy,deploy/helm}/*/*.md').filter(
      (page) => !page.endsWith('/CHANGELOG.md'),
    ),
    // Each other package's changelog is next to its README.
    'apps/gateway/CHANGELOG.md',
  ];
  expect(named.toSorted()).toEqual(pages.toSorted());
});

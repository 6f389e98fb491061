import { expect, test } from 'vitest';
import { find, pages, readPage } from './testing/pages.ts';
import { textsIn } from './testing/source-texts.ts';

// Options take `5m`, `2m11s` and `30d`, and `durationText` writes them like this. `…` is a value in a text of the code.
const otherForm =
  /(?:\b\d[\d.,]*|…)[ \u00a0-](?:ms|milliseconds?|s|secs?|seconds?(?! factor)|m|mins?|minutes?|h|hours?|d|days?)\b(?![:=])/g;

const list = (text: string): readonly string[] => text.match(otherForm) ?? [];

test.each([
  { text: 'waits 5 minutes, then 10 s', expected: ['5 minutes', '10 s'] },
  { text: 'a 30-day limit of … ms', expected: ['30-day', '… ms'] },
  { text: 'waits 5m, then 2m11s; 2 second factors, p50 ms, in a minute', expected: [] },
])('"$text" has $expected in another form', ({ text, expected }) => {
  expect(list(text)).toEqual(expected);
});

test.each([...pages, ...find('deploy/prometheus/*.yaml'), 'deploy/grafana/sallyport.json'])(
  '%s writes durations as options take them',
  async (page) => {
    expect(list(await readPage(page))).toEqual([]);
  },
);

test('so does the code, in its texts', async () => {
  const sources = find('{apps,packages}/*/src/**/*.{ts,js}').filter(
    (path) => !/\.(?:test|load)\.ts$|\/testing\//.test(path),
  );
  const other: string[] = [];
  for (const path of sources) {
    const texts = textsIn(await readPage(path)).flatMap(list);
    other.push(...texts.map((text) => `${path}: ${text}`));
  }
  expect(sources.length).toBeGreaterThan(400);
  expect(other).toEqual([]);
});

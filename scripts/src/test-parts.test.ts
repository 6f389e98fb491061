import { expect, test } from 'vitest';
import { selectTasks, type TestPart } from './test-parts.ts';

const packages = [
  { name: '@sallyport/gateway', scripts: { test: '', 'test:load': '' } },
  { name: '@sallyport/test', scripts: { test: '', 'test:tools': '', 'test:load': '' } },
  // A package without tests must be missed, not left out.
  { name: '@sallyport/plain', scripts: {} },
];
const select = (part: TestPart) =>
  packages.flatMap(({ name, scripts }) =>
    selectTasks(part, name, scripts).map((task) => `${name}#${task}`),
  );

test('unit, black-box and tools are all tests, each once, and none that measures', () => {
  expect([...select('unit'), ...select('black-box'), ...select('tools')].sort()).toEqual(
    select('all').toSorted(),
  );
  expect(select('all')).toEqual([
    '@sallyport/gateway#test',
    '@sallyport/test#test',
    '@sallyport/test#test:tools',
    '@sallyport/plain#test',
  ]);
});

test('the black box is alone in its part', () => {
  expect(select('black-box')).toEqual(['@sallyport/test#test']);
});

test('load is what measures', () => {
  expect(select('load')).toEqual(['@sallyport/gateway#test:load', '@sallyport/test#test:load']);
});

import { expect, test } from 'vitest';
import { isMisleading, printable } from './printable.ts';

test.each([
  ['robot:jane, zoë 🔑 管理', 'robot:jane, zoë 🔑 管理'],
  ['\u001b[2Jroot', String.raw`\u{1b}[2Jroot`],
  ['a\r\nb\tc', String.raw`a\u{d}\u{a}b\u{9}c`],
  ['\u009b2J', String.raw`\u{9b}2J`],
  ['a\u202eb', String.raw`a\u{202e}b`],
  ['a\u2028b', String.raw`a\u{2028}b`],
  ['\ud800', String.raw`\u{d800}`],
])('%j prints as %s', (text, printed) => {
  expect(printable(text)).toBe(printed);
});

test.each([
  ['zoë 🔑 管理', false],
  ['\u200c\u200d\ufeff', false],
  ['a\tb', true],
  ['a\u2029', true],
  ['\u061c', true],
  ['\ud800a', true],
])('%j is misleading: %s', (text, is) => {
  expect(isMisleading(text)).toBe(is);
});

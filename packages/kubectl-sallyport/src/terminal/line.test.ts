import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLine } from './line.ts';

function typed(text: string, hidden = false) {
  const line = createLine(hidden);
  const { shown, end } = line.type(text);
  return { text: line.text, shown, end };
}

test.each([
  ['ada\r', 'ada', 'entered'],
  ['ada\n', 'ada', 'entered'],
  ['ad\x7f\bda\r', 'da', 'entered'],
  ['\x7f\x7fx\r', 'x', 'entered'],
  ['wrong\x15right\r', 'right', 'entered'],
  ['pä\u{1f511}\x7fs\r', 'päs', 'entered'],
  ['a\x1b[Db\x1bOPc\x1b[3;5~\r', 'abc', 'entered'],
  ['\x1babc\r', 'abc', 'entered'],
  ['\x1b\x1b[Aa\r', 'a', 'entered'],
  ['ada\x03', 'ada', 'interrupted'],
  ['\x04', '', 'closed'],
  ['ada\x04x', 'adax', undefined],
  ['a\tb\x00c\r', 'abc', 'entered'],
])('%j is %j, %s', (keys, text, end) => {
  expect(typed(keys)).toMatchObject({ text, end });
  // A terminal gives it in other pieces.
  const line = createLine(true);
  const ends = [...keys].map((key) => line.type(key).end);
  expect([line.text, ends.at(-1)]).toEqual([text, end]);
});

test('a name is shown as it is typed, and what is erased is removed from the screen', () => {
  expect(typed('ab\x7fc\x15\r').shown).toBe('ab\b \bc\b \b\b \b');
});

test('of a password nothing is shown', () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter }), (keys) => {
      expect(typed(keys, true).shown).toBe('');
    }),
  );
});

test('text without control characters is taken as it is', () => {
  const plain = fc
    .string({ unit: anyCharacter, maxLength: 200 })
    .map((text) => text.replaceAll(/\p{Cc}/gu, ''));
  fc.assert(
    fc.property(plain, (text) => {
      expect(typed(`${text}\r`)).toMatchObject({ text, end: 'entered' });
    }),
  );
});

test('a line does not grow without end', () => {
  expect(typed('x'.repeat(100_000)).text).toHaveLength(1024);
});

test('what is typed ahead, as by a paste of two lines, is left for the next question', () => {
  const line = createLine(true);
  expect(line.type('\u{1f511}\rsecret\r')).toEqual({ shown: '', end: 'entered', rest: 'secret\r' });
  expect(line.text).toBe('\u{1f511}');
});

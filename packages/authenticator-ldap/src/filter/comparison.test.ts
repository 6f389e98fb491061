import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { comparedAttributes, isExactly, isSameButForCase } from './comparison.ts';
import { parseFilterTemplate } from './filter-template.ts';

const comparisonOf = (filter: string) => parseFilterTemplate(filter, () => undefined).comparison;

/** Whether an entry with these values has exactly the name `alice`. */
function accepts(filter: string, entry: Readonly<Record<string, readonly string[]>>): boolean {
  const comparison = comparisonOf(filter);
  if (comparison === undefined) throw new Error(`${filter} compares nothing`);
  return isExactly(comparison, 'alice', (attribute) => entry[attribute] ?? []);
}

describe('what a filter compares', () => {
  test.each([
    { filter: '(uid={username})', attributes: ['uid'] },
    { filter: '(&(objectClass=person)(uid={username})(!(ou=x)))', attributes: ['uid'] },
    {
      filter: '(|(uid={username})(mail={username}@example.com)(cn=ad*))',
      attributes: ['uid', 'mail'],
    },
    {
      filter: '(&(uid={username})(|(uid={username})(mail={username})))',
      attributes: ['uid', 'mail'],
    },
  ])('is known for $filter', ({ filter, attributes }) => {
    const comparison = comparisonOf(filter);
    expect(comparison && comparedAttributes(comparison)).toEqual(attributes);
  });

  test.each([
    '(uid=alice)',
    '(uid=*)',
    '(&(uid=*)(objectClass=person))',
    '(!(uid={username}))',
    '(&(uid={username})(!(cn={username})))',
    '(|(uid={username})(cn={username}*))',
    '(|(uid={username})(cn=a*{username}*z))',
    '(|(uid={username})(cn=*{username}))',
    '(cn~={username})',
    '(cn>={username})',
    '(cn<={username})',
    '(cn:caseExactMatch:={username})',
  ])('is not known for %s', (filter) => {
    expect(comparisonOf(filter)).toBeUndefined();
  });
});

describe('an entry has the name', () => {
  test('if one of its values is the name, with the text around it', () => {
    expect(accepts('(uid={username})', { uid: ['x', 'Alice'] })).toBe(true);
    expect(accepts('(uid={username})', { uid: ['alice '], cn: ['alice'] })).toBe(false);
    expect(accepts('(uid={username})', {})).toBe(false);
    expect(accepts('(mail=x-{username}@é.com)', { mail: ['X-alice@É.com'] })).toBe(true);
    expect(accepts('(mail=x-{username}@é.com)', { mail: ['alice'] })).toBe(false);
  });

  test('if all parts of an and, or one part of an or, are the name', () => {
    const both = '(&(uid={username})(mail={username})(ou=x))';
    expect(accepts(both, { uid: ['alice'], mail: ['alice'] })).toBe(true);
    expect(accepts(both, { uid: ['alice'], mail: ['älice'] })).toBe(false);
    const either = '(|(uid={username})(mail={username})(ou=alice))';
    expect(accepts(either, { uid: ['älice'], mail: ['alice'] })).toBe(true);
    expect(accepts(either, { uid: ['älice'], mail: ['älice'], ou: ['alice'] })).toBe(false);
  });
});

describe('names', () => {
  test.each([
    { one: 'José', other: 'JOSÉ' },
    { one: 'straße', other: 'Straße' },
    { one: 'Δημήτρης', other: 'δημήτρης' },
    { one: '山', other: '山' },
  ])('$one and $other differ only in case', ({ one, other }) => {
    expect(isSameButForCase(one, other)).toBe(true);
    expect(isSameButForCase(other, one)).toBe(true);
  });

  /** What directories or string functions may take for the first text. */
  const similar: readonly (readonly [string, string])[] = [
    ['a', 'á'],
    ['a', 'ａ'],
    ['á', 'a\u0301'],
    ['k', '\u212a'],
    ['å', '\u212b'],
    ['s', 'ſ'],
    ['i', 'ı'],
    ['I', 'ı'],
    ['i', 'İ'],
    ['ss', 'ß'],
    ['SS', 'ß'],
    ['fi', 'ﬁ'],
    ['a', 'а'],
    ['1', '１'],
    ['', '\u00ad'],
    ['', '\u200b'],
    ['', '\ufeff'],
    ['', ' '],
    [' ', '  '],
    [' ', '\u00a0'],
  ];

  test('that are only similar are different, wherever in a name they are', () => {
    const text = fc.string({ unit: fc.constantFrom(...'aBkSi .-@é山') });
    fc.assert(
      fc.property(text, fc.constantFrom(...similar), text, (before, [one, other], after) => {
        expect(isSameButForCase(before + one + after, before + other + after)).toBe(false);
        expect(isSameButForCase(before + other + after, before + one + after)).toBe(false);
      }),
    );
  });

  test('in any case of ASCII are the same, and other characters are not', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), fc.string(), (name, other) => {
        const upper = name.replace(/[a-z]/g, (one) => one.toUpperCase());
        expect(isSameButForCase(name, upper)).toBe(true);
        const fold = (text: string) => text.replace(/[A-Z]/g, (one) => one.toLowerCase());
        expect(isSameButForCase(name, other)).toBe(fold(name) === fold(other));
      }),
    );
  });
});

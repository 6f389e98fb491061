import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { filterText } from './filter.ts';
import { parseFilterTemplate } from './filter-template.ts';

const any = (text: string) => filterText(parseFilterTemplate(text, () => undefined).withAnyValues());

describe('a filter with any values', () => {
  test.each([
    ['(uid={username})', '(uid=*)'],
    ['(uid=alice)', '(uid=alice)'],
    ['(mail={username}@example.com)', '(mail=*@example.com)'],
    ['(mail=x{username})', '(mail=x*)'],
    ['(mail=x{username}y{username}z)', '(mail=x*y*z)'],
    ['(cn={username}{username})', '(cn=*)'],
    ['(cn=*{username}*)', '(cn=*)'],
    ['(cn=a*{username}b*c{username})', '(cn=a*b*c*)'],
    ['(cn=a*b)', '(cn=a*b)'],
    ['(cn=\\2a{username}\\29)', '(cn=\\2a*\\29)'],
    ['(uid>={username})', '(uid=*)'],
    ['(uid<=7)', '(uid<=7)'],
    ['(uid~={username})', '(uid=*)'],
    ['(uid:2.5.13.5:={username})', '(uid=*)'],
    ['(:2.5.13.5:={username})', '(objectClass=*)'],
    ['(memberOf:1.2.840.113556.1.4.1941:=cn=a)', '(memberOf:1.2.840.113556.1.4.1941:=cn=a)'],
    [
      '(&(objectClass=person)(|(uid={username})(mail={username}))(!(type=guest)))',
      '(&(objectClass=person)(|(uid=*)(mail=*))(!(type=guest)))',
    ],
  ])('%s is %s', (text, expected) => {
    expect(any(text)).toBe(expected);
  });

  test('is the filter itself where it has no placeholder', () => {
    const literal = fc.stringMatching(/^[a-z]{1,5}$/);
    const filters = fc.oneof(
      literal.map((value) => `(cn=${value})`),
      fc.tuple(literal, literal).map(([one, other]) => `(cn=${one}*${other})`),
      literal.map((value) => `(!(cn>=${value}))`),
    );
    fc.assert(
      fc.property(filters, (text) => {
        expect(any(text)).toBe(text);
      }),
    );
  });
});

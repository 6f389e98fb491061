import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Filter } from './filter.ts';
import { parseFilterTemplate } from './filter-template.ts';

const plain = (text: string): Filter | undefined =>
  parseFilterTemplate(text, () => 'no placeholder here').fill(() => []);
const bytes = (text: string) => Buffer.from(text);
const equality = (attribute: string, value: string): Filter => ({
  kind: 'equality',
  attribute,
  value: bytes(value),
});

describe('a filter (RFC 4515)', () => {
  test.each<[string, Filter]>([
    ['(uid=alice)', equality('uid', 'alice')],
    ['(uid= alice )', equality('uid', ' alice ')],
    ['(age>=21)', { kind: 'greater-or-equal', attribute: 'age', value: bytes('21') }],
    ['(cn~=alise)', { kind: 'approximate', attribute: 'cn', value: bytes('alise') }],
    ['(objectClass=*)', { kind: 'present', attribute: 'objectClass' }],
    ['(2.5.4.3;lang-en=x)', equality('2.5.4.3;lang-en', 'x')],
    ['(cn=a*)', { kind: 'substring', attribute: 'cn', initial: bytes('a'), any: [] }],
    ['(cn=*a*)', { kind: 'substring', attribute: 'cn', any: [bytes('a')] }],
    [
      '(cn=a*b*c*d)',
      {
        kind: 'substring',
        attribute: 'cn',
        initial: bytes('a'),
        any: [bytes('b'), bytes('c')],
        final: bytes('d'),
      },
    ],
    ['(!(cn=a))', { kind: 'not', filter: equality('cn', 'a') }],
    [
      '(&(cn=a)(|(cn=b)))',
      {
        kind: 'and',
        filters: [equality('cn', 'a'), { kind: 'or', filters: [equality('cn', 'b')] }],
      },
    ],
    // These are the examples of RFC 4515 section 4.
    [
      '(cn:caseExactMatch:=Fred)',
      {
        kind: 'extensible',
        attribute: 'cn',
        rule: 'caseExactMatch',
        dnAttributes: false,
        value: bytes('Fred'),
      },
    ],
    [
      '(sn:dn:2.4.6.8.10:=Barney)',
      {
        kind: 'extensible',
        attribute: 'sn',
        rule: '2.4.6.8.10',
        dnAttributes: true,
        value: bytes('Barney'),
      },
    ],
    [
      '(:1.2.3:=Wilma)',
      { kind: 'extensible', rule: '1.2.3', dnAttributes: false, value: bytes('Wilma') },
    ],
    [
      '(:DN:2.4.6.8.10:=Dino)',
      { kind: 'extensible', rule: '2.4.6.8.10', dnAttributes: true, value: bytes('Dino') },
    ],
    [
      '(o=Parens R Us \\28for all your parenthetical needs\\29)',
      equality('o', 'Parens R Us (for all your parenthetical needs)'),
    ],
    ['(cn=*\\2A*)', { kind: 'substring', attribute: 'cn', any: [bytes('*')] }],
    ['(bin=\\00\\00\\00\\04)', equality('bin', '\0\0\0\x04')],
    ['(sn=Lu\\c4\\8di\\c4\\87)', equality('sn', 'Lučić')],
    [
      '(jpegPhoto=\\ff\\D8)',
      { kind: 'equality', attribute: 'jpegPhoto', value: Buffer.from([0xff, 0xd8]) },
    ],
    ['(cn=\\7busername\\7d)', equality('cn', '{username}')],
  ])('%s is read', (text, filter) => {
    expect(plain(text)).toEqual(filter);
  });

  test('may have spaces and line breaks between filters', () => {
    const compact = plain('(&(objectClass=person)(!(uid=a))(|(cn=b)(cn= c )))');
    expect(
      plain(' (&\n  (objectClass=person)\r\n\t(! (uid=a) )\n  (| (cn=b) (cn= c ) ) )\n'),
    ).toEqual(compact);
  });

  test.each([
    ['', 1, 'parentheses, such as (uid={username})'],
    ['uid=alice', 1, 'put each filter in parentheses'],
    ['(uid=alice', 11, 'a ) is missing'],
    ['(uid=alice))', 12, 'something follows the filter'],
    ['(&)', 3, 'no filter begins here'],
    ['(!(a=b)(c=d))', 8, 'a ) is missing'],
    ['(uid)', 5, 'no = after the attribute'],
    ['(=x)', 2, 'no attribute before the operator'],
    ['(1.1=x)', 2, '"1.1" is not an attribute'],
    ['(u id=x)', 2, '"u id" is not an attribute: write its name'],
    ['(ü=x)', 2, '"ü" is not an attribute'],
    ['(cn=a**b)', 9, 'two * in a row: write one'],
    ['(age>=1*)', 8, 'write \\2a'],
    ['(cn=a(b)', 6, 'write \\28'],
    ['(cn=a\\zz)', 6, 'write \\5c'],
    ['(cn=\0)', 5, 'write \\00'],
    ['(cn=})', 5, 'write \\7d'],
    ['(cn=😀{)', 6, 'write \\7b'],
    ['(cn={user)', 5, 'a placeholder is {username}'],
    ['({dn}=x)', 2, '"{dn}" is not an attribute'],
    ['(member:{dn}:=x)', 2, 'no matching rule'],
    ['(:=x)', 2, 'no matching rule'],
    ['(cn:a:b:=x)', 2, 'no matching rule'],
    ['(c n:dn:=x)', 2, '"c n" is not an attribute'],
    ['(cn={attribute:a b})', 5, '"a b" is not an attribute: write {attribute:NAME}'],
    ['(cn=\ud800)', 5, 'half a character'],
    [`${'(!'.repeat(34)}(a=b)${')'.repeat(34)}`, 67, 'nested too deep: nest at most 32'],
    [`(a=${'b'.repeat(16_381)})`, 16_385, 'the filter is too long'],
  ])('%j is refused, with column %i', (text, column, words) => {
    expect(() => plain(text)).toThrow(`column ${column}: `);
    expect(() => plain(text)).toThrow(words);
  });

  test('is refused with its place and the fix, or read, whatever the text is', () => {
    const pieces = fc.constantFrom(
      ...[
        '(',
        ')',
        '&',
        '|',
        '!',
        '=',
        '*',
        '\\',
        '{',
        '}',
        ':',
        'dn',
        'a',
        '1',
        '<',
        '~',
        '2a',
        ' ',
      ],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 24 }), (parts) => {
        try {
          plain(parts.join(''));
        } catch (error) {
          expect(String(error)).toMatch(/^TemplateError: column \d+: .+: .+$/s);
        }
      }),
    );
  });
});

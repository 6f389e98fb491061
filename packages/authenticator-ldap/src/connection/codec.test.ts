import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Filter } from '../filter/filter.ts';
import { encodeBind, encodeSearch, encodeStartTls, encodeUnbind, readElements } from './codec.ts';
import { ber, berInteger, type Content } from './testing/ber.ts';

const text = (content: Content) => ber(0x04, content);

/** Writes a search request as RFC 4511 section 4.5.1 has it, without a library. */
function searchRequest(
  filter: Buffer,
  { base = 'dc=x', attributes = ['cn'], timeLimit = 0 } = {},
): Buffer {
  const numbers = [
    berInteger(2, 0x0a),
    berInteger(0, 0x0a),
    berInteger(3),
    berInteger(timeLimit),
    ber(0x01, '\0'),
  ];
  const body = [text(base), ...numbers, filter, ber(0x30, ...attributes.map(text))];
  return ber(0x30, berInteger(9), ber(0x63, ...body));
}

function encodeFilter(filter: Filter): Buffer {
  return encodeSearch(9, { base: 'dc=x', scope: 'sub', filter, attributes: ['cn'], sizeLimit: 3 });
}

const values: readonly Buffer[] = [
  ...['*', '(', ')', '\\', '\0', 'é', '山', '\\2a', 'star*user', 'paren(the)sis', ''].map((value) =>
    Buffer.from(value),
  ),
  Buffer.from('ff00fe80c3', 'hex'),
];

describe('rule 9: filters are bytes', () => {
  test.each(values)('of the value %o in every kind of filter', (value) => {
    const name = text('uid');
    const pair = [name, text(value)];
    const attribute = 'uid';
    expect(encodeFilter({ kind: 'equality', attribute, value })).toEqual(
      searchRequest(ber(0xa3, ...pair)),
    );
    expect(encodeFilter({ kind: 'greater-or-equal', attribute, value })).toEqual(
      searchRequest(ber(0xa5, ...pair)),
    );
    expect(encodeFilter({ kind: 'less-or-equal', attribute, value })).toEqual(
      searchRequest(ber(0xa6, ...pair)),
    );
    expect(encodeFilter({ kind: 'approximate', attribute, value })).toEqual(
      searchRequest(ber(0xa8, ...pair)),
    );
    expect(
      encodeFilter({
        kind: 'substring',
        attribute,
        initial: value,
        any: [value, value],
        final: value,
      }),
    ).toEqual(
      searchRequest(
        ber(
          0xa4,
          name,
          ber(0x30, ber(0x80, value), ber(0x81, value), ber(0x81, value), ber(0x82, value)),
        ),
      ),
    );
    expect(
      encodeFilter({ kind: 'extensible', rule: '1.2.3', attribute, dnAttributes: true, value }),
    ).toEqual(
      searchRequest(
        ber(
          0xa9,
          ber(0x81, '1.2.3'),
          ber(0x82, 'uid'),
          ber(0x83, value),
          ber(0x84, Buffer.from([0xff])),
        ),
      ),
    );
  });

  test('of any value', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const value = Buffer.from(bytes);
        const filter = encodeFilter({
          kind: 'not',
          filter: { kind: 'equality', attribute: 'uid', value },
        });
        expect(filter).toEqual(searchRequest(ber(0xa2, ber(0xa3, text('uid'), text(value)))));
      }),
    );
  });

  test('of nested ones, presence and parts that are left out', () => {
    const value = Buffer.from('v');
    const filter: Filter = {
      kind: 'and',
      filters: [
        { kind: 'present', attribute: 'objectClass' },
        { kind: 'or', filters: [{ kind: 'substring', attribute: '2.5.4.3', any: [value] }] },
        { kind: 'extensible', attribute: 'member', dnAttributes: false, value },
      ],
    };
    const or = ber(0xa1, ber(0xa4, text('2.5.4.3'), ber(0x30, ber(0x81, value))));
    const extensible = ber(0xa9, ber(0x82, 'member'), ber(0x83, value));
    expect(encodeFilter(filter)).toEqual(
      searchRequest(ber(0xa0, ber(0x87, 'objectClass'), or, extensible)),
    );
  });

  test('of more than 64 KiB', () => {
    const value = Buffer.alloc(500, 'x');
    const filters = Array.from(
      { length: 400 },
      () => ({ kind: 'equality', attribute: 'member', value }) as const,
    );
    const each = ber(0xa3, text('member'), text(value));
    expect(encodeFilter({ kind: 'or', filters })).toEqual(
      searchRequest(ber(0xa1, ...filters.map(() => each))),
    );
  });

  test.each(['uid)(x', 'a b', '', 'é', '1.', '(', 'uid='])(
    'and the attribute %j is refused',
    (attribute) => {
      const value = Buffer.from('v');
      expect(() => encodeFilter({ kind: 'equality', attribute, value })).toThrow(
        'is not the name or OID',
      );
      expect(() => encodeFilter({ kind: 'present', attribute })).toThrow('is not the name or OID');
      expect(() => encodeFilter({ kind: 'substring', attribute, any: [value] })).toThrow(
        'is not the name or OID',
      );
      expect(() => encodeFilter({ kind: 'approximate', attribute, value })).toThrow(
        'is not the name or OID',
      );
      expect(() =>
        encodeFilter({ kind: 'extensible', rule: attribute, dnAttributes: false, value }),
      ).toThrow('is not the name or OID');
    },
  );
});

describe('requests', () => {
  const present: Filter = { kind: 'present', attribute: 'cn' };

  test.each([
    'cn=Back\\5Cslash',
    'cn=al\\5C69ce',
    'CN=R\\+D',
    'cn=trail\\20',
    '',
    'not a dn',
    'cn=山',
  ])('have the base %j as it is', (base) => {
    const request = encodeSearch(9, {
      base,
      scope: 'sub',
      filter: present,
      attributes: ['cn'],
      sizeLimit: 3,
    });
    expect(request).toEqual(searchRequest(ber(0x87, 'cn'), { base }));
  });

  test('ask for attributes by name, OID, option, or for none', () => {
    const attributes = [
      'entryDN',
      '2.5.4.3',
      'userCertificate;binary',
      'member;range=0-*',
      '1.1',
      '*',
      '+',
    ];
    const request = encodeSearch(9, {
      base: 'dc=x',
      scope: 'sub',
      filter: present,
      attributes,
      sizeLimit: 3,
    });
    expect(request).toEqual(searchRequest(ber(0x87, 'cn'), { attributes }));
  });

  test('limit the time of the server', () => {
    const asked = {
      base: 'dc=x',
      scope: 'sub',
      filter: present,
      attributes: ['cn'],
      sizeLimit: 3,
    } as const;
    expect(encodeSearch(9, { ...asked, timeLimit: 1 })).toEqual(
      searchRequest(ber(0x87, 'cn'), { timeLimit: 1 }),
    );
  });

  test.each(['base', 'one', 'sub'] as const)('have the scope %s', (scope) => {
    const request = encodeSearch(9, {
      base: '',
      scope,
      filter: present,
      attributes: ['cn'],
      sizeLimit: 3,
    });
    expect(request.subarray(7 + 2)[2]).toBe(['base', 'one', 'sub'].indexOf(scope));
  });

  test('bind with the raw DN, the raw password and the password policy control', () => {
    const control = ber(0x30, text('1.3.6.1.4.1.42.2.27.8.5.1'), ber(0x01, '\0'));
    const body = ber(0x60, berInteger(3), text('cn=Back\\5Cslash'), ber(0x80, ' pä\0ss '));
    expect(encodeBind(300, { dn: 'cn=Back\\5Cslash', password: ' pä\0ss ' })).toEqual(
      ber(0x30, berInteger(300), body, ber(0xa0, control)),
    );
  });

  test('for StartTLS and unbind', () => {
    expect(encodeStartTls(1)).toEqual(
      ber(0x30, berInteger(1), ber(0x77, ber(0x80, '1.3.6.1.4.1.1466.20037'))),
    );
    expect(encodeUnbind(5)).toEqual(ber(0x30, berInteger(5), ber(0x42)));
  });
});

test('the BER library is pinned exactly: another version may write or read in another way', async () => {
  const manifest = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  // It is a development dependency, since the build bundles it.
  expect(JSON.parse(manifest).devDependencies).toMatchObject({ '@ldapjs/asn1': '2.0.0' });
});

describe('elements', () => {
  const read = (hex: string, elements = 10) => readElements(Buffer.from(hex, 'hex'), { elements });

  test('follow one another', () => {
    expect(read('0400020105')).toEqual([
      { tag: 0x04, content: Buffer.alloc(0) },
      { tag: 0x02, content: Buffer.from([5]) },
    ]);
  });

  test('may have lengths of four bytes, as Active Directory writes them', () => {
    expect(read('8084000000020500')).toEqual([{ tag: 0x80, content: Buffer.from('0500', 'hex') }]);
  });

  test.each([
    '04',
    '0401',
    '0480',
    '048500',
    '0482',
    '04ffff',
    '0484ffffffff00',
    '048480000000',
    '0400040200',
  ])('are refused when they are cut off or have no valid length: %s', (hex) => {
    expect(() => read(hex)).toThrow(expect.objectContaining({ kind: 'protocol' }));
  });

  test('are limited in number', () => {
    expect(read('04000400', 2)).toHaveLength(2);
    expect(() => read('04000400', 1)).toThrow(expect.objectContaining({ kind: 'too-large' }));
  });
});

import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Filter, filterText } from './filter.ts';
import { parseFilterTemplate } from './filter-template.ts';

const anything = () => undefined;
const equality = (attribute: string, value: string | Buffer): Filter => ({
  kind: 'equality',
  attribute,
  value: Buffer.from(value as string),
});

function fill(
  text: string,
  values: Record<string, readonly (string | Buffer)[]>,
): Filter | undefined {
  return parseFilterTemplate(text, anything).fill((placeholder) => values[placeholder] ?? []);
}

describe('placeholders', () => {
  test('are known by name, each once', () => {
    const template = parseFilterTemplate(
      '(|(a={dn})(b=x{username}y*{dn})(c:1.2.3:={attribute:uidNumber}))',
      anything,
    );
    expect([...template.placeholders].sort()).toEqual(['attribute:uidNumber', 'dn', 'username']);
    expect([...parseFilterTemplate('(a=b)', anything).placeholders]).toEqual([]);
  });

  test('that are not allowed are refused with their column and what to write', () => {
    const allowed = (name: string) => (name === 'username' ? undefined : 'write {username}');
    expect(() => parseFilterTemplate('(&(uid={username})(cn=a{user}))', allowed)).toThrow(
      'column 24: {user} is not allowed here: write {username}',
    );
    expect(() => parseFilterTemplate('(cn={})', allowed)).toThrow(
      'column 5: {} is not allowed here',
    );
    expect(() => parseFilterTemplate('(cn={ username })', allowed)).toThrow(
      '{ username } is not allowed here',
    );
  });

  test('may be alone, within text, in substrings and extensible matches', () => {
    expect(fill('(uid={username})', { username: ['alice'] })).toEqual(equality('uid', 'alice'));
    expect(fill('(mail=\\c3\\a9-{username}@é)', { username: ['alice'] })).toEqual(
      equality('mail', 'é-alice@é'),
    );
    expect(fill('(cn=a{username}*x{dn}y*{username})', { username: ['b'], dn: ['c'] })).toEqual({
      kind: 'substring',
      attribute: 'cn',
      initial: Buffer.from('ab'),
      any: [Buffer.from('xcy')],
      final: Buffer.from('b'),
    });
    expect(fill('(member:1.2.840.113556.1.4.1941:={dn})', { dn: ['cn=a\\,b'] })).toEqual({
      kind: 'extensible',
      attribute: 'member',
      rule: '1.2.840.113556.1.4.1941',
      dnAttributes: false,
      value: Buffer.from('cn=a\\,b'),
    });
  });

  test('take bytes as they are and strings as UTF-8', () => {
    const bytes = Buffer.from([0, 0xff, 0x2a]);
    expect(fill('(guid={attribute:objectGUID})', { 'attribute:objectGUID': [bytes] })).toEqual(
      equality('guid', bytes),
    );
    expect(fill('(uid={username})', { username: ['*)(uid=é\0\\2a{dn}'] })).toEqual(
      equality('uid', '*)(uid=é\0\\2a{dn}'),
    );
  });

  test('are asked for their values once each', () => {
    const asked: string[] = [];
    parseFilterTemplate('(|(a={dn})(b={dn})(c={username}))', anything).fill((placeholder) => {
      asked.push(placeholder);
      return ['x'];
    });
    expect(asked.sort()).toEqual(['dn', 'username']);
  });
});

describe('several values', () => {
  test('make an or of the assertion, where it is', () => {
    expect(fill('(&(objectClass=group)(!(member={dn})))', { dn: ['a', 'b'] })).toEqual({
      kind: 'and',
      filters: [
        equality('objectClass', 'group'),
        {
          kind: 'not',
          filter: { kind: 'or', filters: [equality('member', 'a'), equality('member', 'b')] },
        },
      ],
    });
  });

  test('of several placeholders make every combination, but one placeholder has one value at a time', () => {
    expect(fill('(x={dn}{username})', { dn: ['a', 'b'], username: ['1', '2'] })).toEqual({
      kind: 'or',
      filters: ['a1', 'a2', 'b1', 'b2'].map((value) => equality('x', value)),
    });
    expect(fill('(x={dn}-{dn})', { dn: ['a', 'b'] })).toEqual({
      kind: 'or',
      filters: ['a-a', 'b-b'].map((value) => equality('x', value)),
    });
  });

  test('are at most 10,000 assertions in all, and the error shows counts but no value', () => {
    const values = Array.from({ length: 100 }, (_, index) => `value${index}`);
    const within = fill('(x={dn}{username})', { dn: values, username: values });
    expect(within).toMatchObject({ kind: 'or', filters: { length: 10_000 } });
    const beyond = () => fill('(|(y=z)(x={dn}{username}))', { dn: values, username: values });
    expect(beyond).toThrow(
      expect.objectContaining({
        name: 'AuthenticatorError',
        code: 'failed',
        message:
          'a filter would have more than 10000 assertions with these values ({dn}: 100, {username}: 100)',
      }),
    );
  });
});

describe('no value', () => {
  test.each<{ text: string; filter: Filter | undefined }>([
    { text: '(a={dn})', filter: undefined },
    { text: '(!(a={dn}))', filter: undefined },
    { text: '(&(a=b)(c={dn}))', filter: undefined },
    { text: '(|(a=b)(c={dn}))', filter: { kind: 'or', filters: [equality('a', 'b')] } },
    { text: '(|(a=b)(&(d=e)(!(c={dn}))))', filter: { kind: 'or', filters: [equality('a', 'b')] } },
    {
      text: '(!(|(a=b)(c={dn})))',
      filter: { kind: 'not', filter: { kind: 'or', filters: [equality('a', 'b')] } },
    },
    { text: '(a={username}{dn})', filter: undefined },
  ])('in $text never matches', ({ text, filter }) => {
    expect(fill(text, { username: ['x'] })).toEqual(filter);
  });

  test('is what an empty value counts as', () => {
    expect(fill('(a={dn})', { dn: ['', Buffer.alloc(0)] })).toBeUndefined();
    expect(fill('(a={dn})', { dn: ['', 'b'] })).toEqual(equality('a', 'b'));
  });
});

describe('whatever a value is', () => {
  const special = fc.constantFrom(
    ...[
      '*',
      '(',
      ')',
      '\\',
      '\\2a',
      '{dn}',
      '{username}',
      '\0',
      ')(uid=*',
      '&',
      '|',
      '!',
      '=',
      'é',
      ' ',
    ],
  );
  const value = fc.oneof(
    fc.array(special, { minLength: 1 }).map((parts) => parts.join('')),
    fc.string({ minLength: 1, unit: anyCharacter }).filter((text) => text.isWellFormed()),
    fc.uint8Array({ minLength: 1 }).map((array) => Buffer.from(array)),
  );

  test('it comes out byte for byte where its placeholder stood, and the filter keeps its shape', () => {
    const text =
      '(&(objectClass=person)(|(uid={username})(mail=a{username}b)(cn=*{dn}*))(!(x:dn:1.2.3:={dn})))';
    const template = parseFilterTemplate(text, anything);
    fc.assert(
      fc.property(value, value, (username, dn) => {
        const bytes = (given: string | Buffer) => Buffer.from(given as string);
        expect(template.fill((name) => [name === 'dn' ? dn : username])).toEqual({
          kind: 'and',
          filters: [
            equality('objectClass', 'person'),
            {
              kind: 'or',
              filters: [
                equality('uid', username),
                equality(
                  'mail',
                  Buffer.concat([Buffer.from('a'), bytes(username), Buffer.from('b')]),
                ),
                { kind: 'substring', attribute: 'cn', any: [bytes(dn)] },
              ],
            },
            {
              kind: 'not',
              filter: {
                kind: 'extensible',
                attribute: 'x',
                rule: '1.2.3',
                dnAttributes: true,
                value: bytes(dn),
              },
            },
          ],
        });
      }),
    );
  });
});

const any = (text: string) => filterText(parseFilterTemplate(text, () => undefined).anyValues);

describe('an encoding of values', () => {
  const encoded = (text: string) => {
    const filter = parseFilterTemplate(text, anything).fill(
      () => ['ab', 'c'],
      (attribute, value) =>
        attribute === 'none' ? undefined : Buffer.from(`<${attribute} ${value}>`),
    );
    return filter && filterText(filter);
  };

  test('is of whole values that an attribute is to equal', () => {
    expect(encoded('(a={x})')).toBe('(|(a=<a ab>)(a=<a c>))');
    for (const text of ['(a=b)', '(a={x}y)', '(a=*{x})', '(a>={x})', '(a:1.2.3:={x})'])
      expect(encoded(text)).not.toContain('<a');
  });

  test('that does not exist leaves no condition that could match', () => {
    expect(encoded('(none={x})')).toBeUndefined();
    expect(encoded('(&(a=b)(none={x}))')).toBeUndefined();
    expect(encoded('(|(a=b)(none={x}))')).toBe('(|(a=b))');
  });
});

describe('a filter with any values', () => {
  test.each([
    ['(uid={username})', '(uid=*)'],
    ['(mail={username}@example.com)', '(mail=*@example.com)'],
    ['(mail=x{username}y{username}z)', '(mail=x*y*z)'],
    ['(cn={username}{username})', '(cn=*)'],
    ['(cn=*{username}*)', '(cn=*)'],
    ['(cn=a*{username}b*c{username})', '(cn=a*b*c*)'],
    ['(cn=\\2a{username}\\29)', '(cn=\\2a*\\29)'],
    ['(uid>={username})', '(uid=*)'],
    ['(uid<=7)', '(uid<=7)'],
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

const presence = (text: string) => {
  const filter = parseFilterTemplate(text, () => undefined).presence;
  return filter && filterText(filter);
};

describe('the presence that a filter needs', () => {
  test.each([
    { text: '(uid={username})', expected: '(uid=*)' },
    { text: '(uid~={username})', expected: '(uid=*)' },
    {
      text: '(|(member={dn})(memberUid={username})(gidNumber={attribute:gidNumber}))',
      expected: '(|(member=*)(memberUid=*)(gidNumber=*))',
    },
    {
      text: '(&(objectClass=person)(mail=*)(cn=a*)(uid={username})(!(type=guest))(memberOf:1.2.3:=cn=a))',
      expected:
        '(&(objectClass=person)(mail=*)(cn=a*)(uid=*)(!(type=guest))(memberOf:1.2.3:=cn=a))',
    },
  ])('of $text is $expected', ({ text, expected }) => {
    expect(presence(text)).toBe(expected);
  });

  test.each([
    '(mail={username}@example.com)',
    '(cn=*{username}*)',
    '(member:1.2.840.113556.1.4.1941:={dn})',
    '(!(uid={username}))',
    '(&(uid={username})(!(|(type=guest)(cn={username}))))',
    '(|(uid={username})(mail={username}@example.com))',
  ])('is not known of %s', (text) => {
    expect(presence(text)).toBeUndefined();
  });
});

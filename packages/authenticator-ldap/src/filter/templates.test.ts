import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDn } from './distinguished-name.ts';
import { parseDnTemplate, parseNameTemplate } from './templates.ts';

describe('a DN template', () => {
  test.each([
    [
      'uid={username},ou=people,dc=example,dc=com',
      'ou=people,dc=example,dc=com',
      'uid=al\\,ice,ou=people,dc=example,dc=com',
    ],
    ['cn=x-{username}-y+ou=z , dc=com', 'dc=com', 'cn=x-al\\,ice-y+ou=z , dc=com'],
    ['ou=z+cn={username};o=\\7ba\\7d', 'o=\\7ba\\7d', 'ou=z+cn=al\\,ice;o=\\7ba\\7d'],
    ['cn=\\5c{username},o=a', 'o=a', 'cn=\\5cal\\,ice,o=a'],
  ])('%s is filled in, below %s', (text, parent, filled) => {
    const template = parseDnTemplate(text);
    expect(template.parent).toBe(parent);
    expect(template.fill('al,ice')).toBe(filled);
  });

  test.each([
    [' # "+,;<>\\=é\0x ', '\\ # \\"\\+\\,\\;\\<\\>\\\\=é\\00x\\ '],
    ['#a', '\\#a'],
    [' ', '\\ '],
    ['{username}', '{username}'],
  ])('spells the name %j as %s (RFC 4514 section 2.4)', (username, spelled) => {
    expect(parseDnTemplate('uid={username},dc=x').fill(username)).toBe(`uid=${spelled},dc=x`);
  });

  test.each([
    ['uid=alice,dc=x', 15, 'no {username}'],
    ['', 1, 'no {username}'],
    ['{username}', 1, 'of the first level'],
    ['{username}@example.com', 1, '{username} is not allowed here'],
    ['{username}=x,dc=x', 1, '{username} is not allowed here'],
    ['uid=x,ou={username},dc=x', 10, 'of the first level'],
    ['uid={username},ou={username},dc=x', 19, 'once'],
    ['uid={user},dc=x', 5, 'nothing else in braces'],
    ['uid={username},ou={dn}', 19, 'nothing else in braces'],
    ['uid={username}},dc=x', 15, 'write \\7b and \\7d'],
    ['uid="{username}",dc=x', 6, 'not in quotes'],
    ['uid=#{username},dc=x', 6, '{username} is not allowed here'],
    ['uid=#040161{username},dc=x', 1, 'this is not a DN'],
    ['uid=\\7{username},dc=x', 7, '{username} is not allowed here'],
    ['uid=\\{username},dc=x', 15, 'a brace too many'],
    ['uid={username},people', 1, 'this is not a DN'],
    ['uid={username}', 15, 'no DN of a parent'],
  ])('%j is refused, with column %i', (text, column, words) => {
    expect(() => parseDnTemplate(text)).toThrow(`column ${column}: `);
    expect(() => parseDnTemplate(text)).toThrow(words);
  });

  test('gives each name back exactly, and has the same levels whatever the name is', () => {
    const special = fc.constantFrom(
      ...[
        ' ',
        '#',
        '"',
        '+',
        ',',
        ';',
        '<',
        '>',
        '\\',
        '=',
        '\0',
        '\\2c',
        ',dc=evil',
        'é',
        '山',
        '😀',
        '{',
        '}',
        'a',
      ],
    );
    const username = fc.oneof(
      fc.array(special, { minLength: 1 }).map((parts) => parts.join('')),
      fc.string({ minLength: 1, unit: 'grapheme' }),
    );
    const template = parseDnTemplate('uid=a-{username}+cn=b,ou=people,dc=x');
    const bare = parseDnTemplate(' uid = {username} ,ou=people,dc=x');
    fc.assert(
      fc.property(username, (name) => {
        const [first, ...others] = parseDn(template.fill(name)) ?? [];
        expect(first?.map(({ value }) => value.toString())).toEqual([`a-${name}`, 'b']);
        expect(others).toEqual(parseDn(template.parent));
        expect(parseDn(bare.fill(name))?.[0]).toEqual([
          { attribute: 'uid', value: Buffer.from(name) },
        ]);
        expect(parseDn(bare.fill(name))).toHaveLength(3);
      }),
    );
  });
});

const entry: Record<string, string> = {
  cn: 'admins',
  o: 'example',
  dn: 'cn=admins,o=example',
  empty: '',
};
const value = (attribute: string) => entry[attribute];

describe('a name template', () => {
  test.each([
    { text: 'cn', attributes: ['cn'], name: 'admins' },
    { text: 'dn', attributes: ['dn'], name: 'cn=admins,o=example' },
    { text: '{DN}', attributes: ['dn'], name: 'cn=admins,o=example' },
    { text: '{cn}@{o}', attributes: ['cn', 'o'], name: 'admins@example' },
    { text: 'team:{cn}', attributes: ['cn'], name: 'team:admins' },
    { text: '{cn}/{cn}', attributes: ['cn'], name: 'admins/admins' },
  ])('$text makes a name of $attributes', ({ text, attributes, name }) => {
    const template = parseNameTemplate(text);
    expect(template.attributes).toEqual(attributes);
    expect(template.fill(value)).toBe(name);
  });

  test('puts values in as they are', () => {
    expect(parseNameTemplate('a:{cn}{o}').fill((name) => (name === 'cn' ? '{o}$&' : 'x'))).toBe(
      'a:{o}$&x',
    );
  });

  test.each(['missing', 'team:{missing}', '{cn}{missing}', 'team:{empty}', 'empty'])(
    '%s has no name without a value',
    (text) => {
      expect(parseNameTemplate(text).fill(value)).toBeUndefined();
    },
  );

  test.each([
    ['', 1, '"" is not an attribute: write cn'],
    ['{}', 1, '"" is not an attribute'],
    ['😀{c n}', 2, '"c n" is not an attribute'],
    ['{{cn}}', 1, 'a brace without its partner: write {cn}'],
    ['a{cn', 2, 'a brace without its partner'],
  ])('%j is refused, with column %i', (text, column, words) => {
    expect(() => parseNameTemplate(text)).toThrow(`column ${column}: `);
    expect(() => parseNameTemplate(text)).toThrow(words);
  });
});

import { describe, expect, test } from 'vitest';
import { parseNameTemplate } from './name-template.ts';

const entry: Record<string, string> = { cn: 'admins', o: 'example', dn: 'cn=admins,o=example', empty: '' };
const value = (attribute: string) => entry[attribute];

describe('a name template', () => {
  test.each([
    ['cn', ['cn'], 'admins'],
    ['dn', ['dn'], 'cn=admins,o=example'],
    ['{DN}', ['dn'], 'cn=admins,o=example'],
    ['{cn}@{o}', ['cn', 'o'], 'admins@example'],
    ['team:{cn}', ['cn'], 'team:admins'],
    ['{cn}/{cn}', ['cn'], 'admins/admins'],
  ])('%s makes a name of %j', (text, attributes, name) => {
    const template = parseNameTemplate(text);
    expect(template.attributes).toEqual(attributes);
    expect(template.fill(value)).toBe(name);
  });

  test('puts values in as they are', () => {
    expect(parseNameTemplate('a:{cn}{o}').fill((name) => (name === 'cn' ? '{o}$&' : 'x'))).toBe('a:{o}$&x');
  });

  test.each(['missing', 'team:{missing}', '{cn}{missing}', 'team:{empty}', 'empty'])(
    '%s has no name without a value',
    (text) => {
      expect(parseNameTemplate(text).fill(value)).toBeUndefined();
    },
  );

  test.each([
    ['', 1, '"" is no attribute: write cn'],
    ['team cn', 1, '"team cn" is no attribute'],
    ['{}', 1, '"" is no attribute'],
    ['😀{c n}', 2, '"c n" is no attribute'],
    ['{{cn}}', 1, 'a brace without its partner: write {cn}'],
    ['a{cn', 2, 'a brace without its partner'],
    ['a}{cn}', 2, 'a brace without its partner'],
  ])('%j is refused, with column %i', (text, column, words) => {
    expect(() => parseNameTemplate(text)).toThrow(`column ${column}: `);
    expect(() => parseNameTemplate(text)).toThrow(words);
  });
});

import { RE2JS } from 're2js';
import { describe, expect, test } from 'vitest';
import { newJwt } from './testing/jwt.ts';
import { tiringPatterns } from './testing/tiring-patterns.ts';
import { settled, writtenOptions } from './testing/written-options.ts';
import { makeToken, mistakeIn, type TokenShapeOptions, tokenShape } from './token.ts';

const shapeOf = (keys: Record<string, unknown>) => tokenShape(settled(writtenOptions(keys)).token);
const matches = (options: TokenShapeOptions, token: string) => tokenShape(options).matches(token);

describe('without options', () => {
  const shape = shapeOf({});

  test('tokens of ours are recognized, and begin with sp_', () => {
    expect(shape.prefix).toBe('sp_');
    expect(shape.matches(makeToken('sp_'))).toBe(true);
  });

  test.each([
    {
      name: 'a service account token',
      token: newJwt({ sub: 'system:serviceaccount:default:default' }),
    },
    { name: 'a name and a password', token: 'sp_jane:correct horse' },
    { name: 'a bootstrap token', token: 'abcdef.0123456789abcdef' },
    { name: 'a token of another system', token: makeToken('ghp_') },
    { name: 'nothing', token: '' },
    { name: 'the prefix alone', token: 'sp_' },
  ])('$name is not', ({ token }) => {
    expect(shape.matches(token)).toBe(false);
  });
});

describe('with tokenPrefix', () => {
  const shape = shapeOf({ tokenPrefix: 'robot.*_' });

  test('tokens with the prefix are recognized, with any rest', () => {
    expect(shape.prefix).toBe('robot.*_');
    for (const rest of ['', 'a', 'é🤖\n\0', 'a'.repeat(16_384)])
      expect(shape.matches(`robot.*_${rest}`)).toBe(true);
  });

  test('other tokens are not, and the prefix is no pattern', () => {
    for (const token of ['robotxx_a', 'Robot.*_a', ' robot.*_a', 'robot.*', makeToken('sp_')]) {
      expect(shape.matches(token)).toBe(false);
    }
  });

  test('tokens with half of a surrogate pair are not, since in UTF-8 several of them would be the same', () => {
    expect(shape.matches('robot.*_\uD800')).toBe(false);
    expect(shape.matches('robot.*_\uDC00\uD800')).toBe(false);
    expect(shape.matches('robot.*_\uFFFD')).toBe(true);
  });
});

describe('with tokenPattern', () => {
  const shape = shapeOf({ tokenPattern: '[a-z]{4}|[0-9]{2}' });

  test('tokens that match as a whole are recognized', () => {
    expect(shape.prefix).toBeUndefined();
    for (const token of ['abcd', '42']) expect(shape.matches(token)).toBe(true);
    for (const token of ['abcde', ' abcd', 'abcd\n', '421', '42abcd', 'ABCD', '']) {
      expect(shape.matches(token)).toBe(false);
    }
  });

  test('and with tokenPrefix both must match, the pattern with the whole token', () => {
    const both = shapeOf({ tokenPrefix: 'robot_', tokenPattern: '[a-z_]+[0-9]{2}' });
    expect(both.prefix).toBe('robot_');
    expect(both.matches('robot_a42')).toBe(true);
    for (const token of ['robot_a4', 'other_a42', 'a42', 'robot_A42'])
      expect(both.matches(token)).toBe(false);
    expect(shapeOf({ tokenPrefix: 'robot_', tokenPattern: '[0-9]{2}' }).matches('robot_42')).toBe(
      false,
    );
  });

  test('one that matches any text does not match one that is not well-formed', () => {
    expect(matches({ pattern: RE2JS.compile('(?s).+') }, 'a\n🤖')).toBe(true);
    expect(matches({ pattern: RE2JS.compile('(?s).+') }, 'a\uD800')).toBe(false);
  });

  test.each(tiringPatterns)(
    'a text that others choose does not make %s search without end',
    (text) => {
      expect(matches({ pattern: RE2JS.compile(text) }, `${'a'.repeat(16_383)}!`)).toBe(false);
    },
  );
});

describe('what looks like a token and is none', () => {
  const own = makeToken('sp_');
  const changed = own.slice(0, 10) + (own[10] === 'A' ? 'B' : 'A') + own.slice(11);

  test.each([
    {
      how: 'cut off',
      token: own.slice(0, 30),
      words: 'begins with sp_, but has 30 characters instead of 52: is it cut off',
    },
    {
      how: 'with more behind it',
      token: `${own}\n`,
      words: 'begins with sp_, but has 53 characters instead of 52',
    },
    {
      how: 'with another character',
      token: `${own.slice(0, 40)}+${own.slice(41)}`,
      words: 'but has a character that no such token has',
    },
    {
      how: 'mistyped',
      token: changed,
      words: 'begins with sp_, but its checksum is wrong: it was mistyped or changed',
    },
  ])('$how is named without a part of it', ({ token, words }) => {
    const why = tokenShape({}).whyNot(token);
    expect(why).toContain(words);
    expect(why).not.toContain(token.slice(0, 8));
  });

  test('is not what has another beginning, or no mistake', () => {
    const { whyNot } = tokenShape({});
    for (const token of ['', 'alice:password', makeToken('ghp_'), own])
      expect(whyNot(token)).toBeUndefined();
  });

  test('of another system is named by its prefix and the option', () => {
    const pattern = { matches: (token: string) => token.length === 10 };
    expect(tokenShape({ prefix: 'robot_', pattern }).whyNot('robot_a')).toBe(
      'begins with robot_, but does not match tokenPattern',
    );
    expect(tokenShape({ prefix: 'robot_', pattern }).whyNot('other_a')).toBeUndefined();
    expect(tokenShape({ pattern }).whyNot('robot_a')).toBeUndefined();
  });

  test('is found in a token that Sallyport makes with another prefix', () => {
    const session = makeToken('sps_');
    expect(mistakeIn(session, 'sps_')).toBeUndefined();
    expect(mistakeIn(session.slice(0, -1), 'sps_')).toContain('52 characters instead of 53');
  });
});

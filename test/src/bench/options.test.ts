import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { type Options, parseOptions } from './options.ts';

const parse = (...words: string[]): Options => parseOptions(words) as Options;

test('the baseline is measured with what is selected', () => {
  expect(parse('--only', 'static,memory@new').only).toEqual(['stack', 'static', 'memory@new']);
  expect(parse('--only', 'static', '--baseline', 'quiet').only).toEqual(['quiet', 'static']);
});

test('several gateways have names, and their paths start where the user is', () => {
  const { entries } = parse('--gateway', 'old=a/sallyport.js,new=/b/sallyport.js');
  const here = process.env.INIT_CWD ?? '.';
  expect([...entries]).toEqual([
    ['old', resolve(here, 'a/sallyport.js')],
    ['new', '/b/sallyport.js'],
  ]);
});

test('the memory is measured at 64 reviews in progress', () => {
  expect([parse().at, parse('memory').at, parse('memory', '--at', '8').at]).toEqual([
    [1, 8, 64],
    [64],
    [8],
  ]);
});

test.each([
  { words: ['memory', '--at', '8,64'], reason: '--at: one number for memory' },
  { words: ['--only', 'statik'], reason: '--only, --baseline: no contender statik' },
  { words: ['--at', '8,x'], reason: '--at: x is not a number above 0' },
  { words: ['--rounds', '0'], reason: '--rounds: 0 is not a number above 0' },
  { words: ['--rounds', '1.5'], reason: '--rounds: 1.5 is not an integer' },
  { words: ['--protocol', 'h3'], reason: '--protocol: h2 or http1.1' },
  { words: ['stat'], reason: 'unknown command stat' },
])('$words is refused, with the reason', ({ words, reason }) => {
  expect(() => parse(...words)).toThrow(reason);
});

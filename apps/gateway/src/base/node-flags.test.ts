import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flagsForRunning, flagsForStart } from './node-flags.js';

const mebibyte = 2 ** 20;

/** The values of our own flags, by their name: the heap is for a container with 256 MiB. */
const ours = {
  'disable-sigusr1': undefined,
  'max-semi-space-size': '8',
  'max-old-space-size': '128',
};

/** Flags of an operator: those that we know, and others. */
const flagNames = fc.constantFrom(
  ...Object.keys(ours),
  'max-old-space-size-percentage',
  'max-heap-size',
  'heap-growing-percent',
  'stack-trace-limit',
  'require',
);

/** The ways in which Node and V8 take a flag, such as `--max_old_space_size=200`. */
const spellings = fc
  .record({ name: flagNames, value: fc.nat(999), underscores: fc.boolean(), dash: fc.boolean() })
  .map(({ name, value, underscores, dash }) => {
    const written = `${dash ? '' : '-'}-${name}`;
    const flag = underscores ? written.replaceAll(/\b-/g, '_') : written;
    return { name, text: name === 'disable-sigusr1' ? flag : `${flag}=${value}` };
  });

const quoted = fc
  .tuple(spellings, fc.boolean())
  .map(([{ name, text }, isQuoted]) => ({ name, text: isQuoted ? `"${text}"` : text }));

describe('flags to start Node with', () => {
  test('with no flag given, all are', () => {
    expect(flagsForStart(undefined, [], 0)).toEqual([
      '--disable-sigusr1',
      '--max-semi-space-size=8',
    ]);
  });

  test('the heap takes half of the memory, and is left to Node without a limit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 2 ** 20 }), (mebibytes) => {
        const missing = flagsForStart('', [], mebibytes * mebibyte);
        const heap = missing.filter((flag) => /heap-size|old-space/.test(flag));
        expect(heap).toEqual([`--max-old-space-size=${Math.floor(mebibytes / 2)}`]);
      }),
    );
    expect(flagsForStart('', [], 0).join()).not.toMatch(/heap-size|old-space/);
  });

  test('are those that the operator chose in no spelling, in NODE_OPTIONS or on the command line', () => {
    fc.assert(
      fc.property(fc.array(quoted), fc.array(spellings), (environment, commandLine) => {
        const options = environment.map(({ text }) => text).join(' ');
        const flags = commandLine.map(({ text }) => text);
        const given = new Set([...environment, ...commandLine].map(({ name }) => name));
        const setsHeap = [...given].some((name) => /^max-(old|heap)/.test(name));
        const missing = flagsForStart(options, flags, 256 * mebibyte);
        expect(missing).toEqual(
          Object.entries(ours)
            .filter(([name]) => !given.has(name) && !(name === 'max-old-space-size' && setsHeap))
            .map(([name, value]) => (value === undefined ? `--${name}` : `--${name}=${value}`)),
        );
      }),
    );
  });

  test('with those added, none is missing: the process starts again once', () => {
    fc.assert(
      fc.property(
        fc.array(quoted),
        fc.array(spellings),
        fc.nat(2 ** 40),
        (environment, commandLine, memory) => {
          const options = environment.map(({ text }) => text).join(' ');
          const flags = commandLine.map(({ text }) => text);
          const all = [...flagsForStart(options, flags, memory), ...flags];
          expect(flagsForStart(options, all, memory)).toEqual([]);
        },
      ),
    );
  });
});

test('of the flags to set later, those on the command line are left out, whatever they say', () => {
  const [growth, pretenuring] = ['--heap-growing-percent=60', '--no-allocation-site-pretenuring'];
  expect(flagsForRunning(['--max-semi-space-size=8'])).toEqual([growth, pretenuring]);
  expect(flagsForRunning(['--heap_growing_percent=90'])).toEqual([pretenuring]);
  expect(flagsForRunning(['--allocation-site-pretenuring'])).toEqual([growth]);
  expect(flagsForRunning([pretenuring])).toEqual([growth]);
});

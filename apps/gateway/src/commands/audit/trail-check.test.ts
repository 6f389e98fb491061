import { expect, test } from 'vitest';
import { createTrailCheck, type TrailReport } from './trail-check.ts';
import { trailLines } from './trail-lines.ts';

/** A line of the process `boot`. */
const line = (boot: string, sequence: number, more: object = {}) =>
  `${JSON.stringify({ time: `t${sequence}`, boot, sequence, ...more })}\n`;

async function check(files: Readonly<Record<string, string>>, chunk = 7): Promise<TrailReport> {
  const trail = createTrailCheck();
  for (const [name, text] of Object.entries(files)) {
    const bytes = Buffer.from(text);
    const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, at) =>
      bytes.subarray(at * chunk, (at + 1) * chunk),
    );
    for await (const one of trailLines(name, chunks.values() as unknown as AsyncIterable<Buffer>)) trail.add(one);
  }
  return trail.report;
}

const torn = line('a', 3).slice(0, 20);

test.each([1, 7, 10_000])('reads a trail over its files, in pieces of %i bytes', async (chunk) => {
  const files = { old: line('a', 1) + line('a', 2), new: line('a', 3) + line('b', 1) + line('b', 4, { dropped: 2 }) };
  expect(await check(files, chunk)).toMatchObject({
    boots: [
      { boot: 'a', lines: 3, first: 1, last: 3, from: 't1', to: 't3' },
      { boot: 'b', lines: 2, dropped: 2 },
    ],
    torn: [],
    unreadable: 0,
    isWhole: true,
  });
});

test('a torn end is no fault: of the last file, of one before, and where the next process has ended it', async () => {
  const begin = line('a', 1) + line('a', 2);
  const atEnd = await check({ log: begin + torn });
  expect(atEnd).toMatchObject({ boots: [{ boot: 'a', torn: { file: 'log', line: 3 } }], isWhole: true });
  const before = await check({ old: begin + torn, log: line('a', 3) + line('a', 4) });
  expect(before).toMatchObject({ boots: [{ torn: { file: 'old', line: 3 } }], isWhole: true });
  const ended = await check({ log: `${begin}${torn}\n${line('b', 1)}` });
  expect(ended).toMatchObject({ boots: [{ torn: { file: 'log', line: 3 } }, { boot: 'b' }], isWhole: true });
  expect((ended.boots[1] as { torn?: unknown }).torn).toBeUndefined();
  expect(await check({ log: torn })).toMatchObject({ boots: [], torn: [{ file: 'log', line: 1 }], isWhole: true });
});

test.each([
  ['in the midst of one process', `${line('a', 1) + torn}\n${line('a', 2)}`],
  ['no beginning of a line', `${line('a', 1)}something\n${line('b', 1)}`],
  ['no JSON object', `${line('a', 1)}[1]\n`],
  ['a line of another program', `${line('a', 1)}{"level":"info"}\n`],
  ['a sequence that is none', line('a', 1) + line('a', 0)],
  ['longer than any line', `${line('a', 1)}{"${'x'.repeat(1024 * 1024)}`],
])('what can not be read is a fault: %s', async (_what, log) => {
  const { unreadable, unreadableAt, isWhole } = await check({ log }, 65_536);
  expect({ unreadable, unreadableAt, isWhole }).toEqual({
    unreadable: 1,
    unreadableAt: [{ file: 'log', line: 2 }],
    isWhole: false,
  });
});

test.each([
  ['a gap', line('a', 1) + line('a', 3), { missing: 1 }],
  ['a repeat', line('a', 1) + line('a', 1), { repeats: 1 }],
  ['a later process without its beginning', line('a', 5) + line('b', 2), { missing: 0 }],
])('%s is a fault', async (_what, log, first) => {
  expect(await check({ log })).toMatchObject({
    boots: [first, {}].slice(0, log.includes('"b"') ? 2 : 1),
    isWhole: false,
  });
});

test('an empty line, as after a torn end, says nothing', async () => {
  expect(await check({ log: `\n${line('a', 1)}\n${line('a', 2)}` })).toMatchObject({ unreadable: 0, isWhole: true });
});

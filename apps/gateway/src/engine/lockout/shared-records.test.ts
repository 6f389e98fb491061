import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSealingKey } from '../sealing/seal.ts';
import {
  attemptField,
  createRecords,
  knownField,
  type Lifetimes,
  tolerance,
} from './shared-records.ts';

const keyOf = (letter: string) => createSealingKey(Buffer.alloc(32, letter));
const recordsOf = (letters = 'A', key = 'jane') =>
  createRecords({ sealingKeys: Array.from(letters, keyOf) }, key);
const [one, other] = ['a', 'b'].map((letter) => letter.repeat(43)) as [string, string];
const now = 1_800_000_000_000;
const lifetimes: Lifetimes = { window: 600_000, abandonedAfter: 60_000, knownFor: 1_000_000 };
const nothing = { attempts: [], rightTimes: new Map(), expired: [], foreign: [] };

describe('a record', () => {
  test('says what was written, under any of the keys', () => {
    for (const [writing, reading] of [
      ['A', 'A'],
      ['A', 'AB'],
      ['A', 'BA'],
      ['BA', 'AB'],
    ]) {
      const { write } = recordsOf(writing);
      const fields = [
        ...write(attemptField('1'), 'pending', now, one),
        ...write(attemptField('2'), 'refused', now - 1.4, other),
        ...write(knownField(one), 'right', now, one),
      ];
      expect(recordsOf(reading).read(fields, now, lifetimes)).toEqual({
        ...nothing,
        attempts: [
          { field: attemptField('1'), state: 'pending', time: now, secret: one },
          { field: attemptField('2'), state: 'refused', time: now - 1, secret: other },
        ],
        rightTimes: new Map([[one, now]]),
      });
    }
  });

  test('is foreign when any of it is changed, in another field or hash, and without its key', () => {
    const { write, read } = recordsOf();
    const [field, value] = write(attemptField('1'), 'refused', now, one);
    const [state, time, secret, mac] = value.split(' ');
    for (const [changedField, changed] of [
      [attemptField('2'), value],
      [knownField(one), value],
      [field, `pending ${time} ${secret} ${mac}`],
      [field, `right ${time} ${secret} ${mac}`],
      [field, `${state} ${now + 1} ${secret} ${mac}`],
      [field, `${state} 0${time} ${secret} ${mac}`],
      [field, `${state} ${time} ${other} ${mac}`],
      [field, `${state} ${time} ${secret} ${secret}`],
      [field, `${state} ${time} ${secret}`],
      [field, `${value} `],
      [field, `${value}\n`],
    ] as const) {
      const seen = read([changedField, changed], now, lifetimes);
      expect([changedField, changed, seen]).toEqual([
        changedField,
        changed,
        { ...nothing, foreign: [changedField] },
      ]);
    }
    for (const records of [recordsOf('B'), recordsOf('A', 'john')]) {
      expect(records.read([field, value], now, lifetimes)).toEqual({
        ...nothing,
        foreign: [field],
      });
    }
  });

  test('that another client forges is foreign, whatever it is', () => {
    const { read } = recordsOf();
    const text = fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.stringMatching(/^(pending|refused|right) \d{13} [\w-]{43} [\w-]{43}$/),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text)), (fields) => {
        const names = fields.map(([name]) => name);
        expect(read(fields.flat(), now, lifetimes)).toEqual({ ...nothing, foreign: names });
      }),
    );
  });
});

describe('with the time', () => {
  const { write, read } = recordsOf();
  const at = (...records: (readonly [string, string])[]) => read(records.flat(), now, lifetimes);

  test.each([
    { state: 'pending', ago: 60_000 - 1, as: 'pending', later: 0 },
    { state: 'pending', ago: 60_000, as: 'abandoned', later: 60_000 },
    { state: 'pending', ago: 660_000 - 1, as: 'abandoned', later: 60_000 },
    { state: 'refused', ago: 600_000 - 1, as: 'refused', later: 0 },
    { state: 'refused', ago: -tolerance, as: 'refused', later: 0 },
  ] as const)('a $state attempt of $ago ms ago is $as', ({ state, ago, as, later }) => {
    const field = attemptField('1');
    expect(at(write(field, state, now - ago, one))).toEqual({
      ...nothing,
      attempts: [{ field, state: as, time: now - ago + later, secret: one }],
    });
  });

  test.each([
    { state: 'pending', ago: 660_000 },
    { state: 'pending', ago: -tolerance - 1 },
    { state: 'refused', ago: 600_000 },
    { state: 'refused', ago: -tolerance - 1 },
  ] as const)('a $state attempt of $ago ms ago counts no more', ({ state, ago }) => {
    const field = attemptField('1');
    expect(at(write(field, state, now - ago, one))).toEqual({ ...nothing, expired: [field] });
  });

  test.each([
    { ago: 0, isKnown: true },
    { ago: 1_000_000 - 1, isKnown: true },
    { ago: 1_000_000, isKnown: false },
    { ago: -tolerance, isKnown: true },
    { ago: -tolerance - 1, isKnown: false },
  ])('a secret that was right $ago ms ago is known: $isKnown', ({ ago, isKnown }) => {
    const field = knownField(one);
    const seen = at(write(field, 'right', now - ago, one));
    expect(seen).toEqual(
      isKnown
        ? { ...nothing, rightTimes: new Map([[one, now - ago]]) }
        : { ...nothing, expired: [field] },
    );
  });

  test('a secret is known though an attempt of it ended without an answer since', () => {
    const right = write(knownField(one), 'right', now - 80_000, one);
    const abandoned = write(attemptField('1'), 'pending', now - 70_000, one);
    expect(at(right, abandoned)).toMatchObject({
      rightTimes: new Map([[one, now - 80_000]]),
      expired: [],
    });
  });
});

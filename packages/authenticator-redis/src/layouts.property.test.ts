import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideByRecord } from './decide.ts';
import { changeJson, type LayoutName, layouts, writeHash, writeJson } from './layouts.ts';
import type { CheckedRecord, TokenRecord } from './record.ts';
import { fieldNames } from './record.ts';
import { goodRecord } from './testing/arbitrary-records.ts';

/** A reply of Redis with what was written. */
const stored: Readonly<Record<LayoutName, (record: TokenRecord) => unknown>> = {
  json: writeJson,
  hash: writeHash,
};

const names = Object.keys(layouts) as LayoutName[];

/** Every text of an invalid record contains this, and no text of ours does. */
const mark = '§';
const marked = fc.string({ maxLength: 8 }).map((text) => mark + text);
const moments = fc.constantFrom(
  '2031-05-01T00:00:00Z',
  '1970-01-01T00:00:00Z',
  '2031-05-01',
  'never',
);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    marked,
    moments,
    fc.constant(''),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(marked, fc.constantFrom('a', '__proto__', 'constructor')), tie('any'), {
      maxKeys: 3,
    }),
  ),
})).any;
const field = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...fieldNames) },
  { weight: 1, arbitrary: fc.constantFrom('x-team', '__proto__', 'constructor', 'expires') },
  { weight: 1, arbitrary: marked },
);
const anyRecord = fc
  .array(fc.tuple(field, value), { maxLength: 6 })
  .map((fields) => Object.fromEntries(fields));
const hashOf = (record: object) =>
  Object.entries(record).flatMap(([name, one]) => [
    name,
    typeof one === 'string' ? one : (JSON.stringify(one) ?? ''),
  ]);

/** Checks what must hold for every record that is read, without the schema. */
function verify(read: CheckedRecord | undefined, names: readonly string[]): void {
  if (read === undefined) return;
  if ('problem' in read) {
    expect(read.problem).not.toContain(mark);
    expect(read.problem.length).toBeLessThan(260);
    return;
  }
  const { record } = read;
  expect(typeof record.username === 'string' && record.username !== '').toBe(true);
  expect(names.filter((name) => !fieldNames.includes(name) && !name.startsWith('x-'))).toEqual([]);
  expect(Object.keys(record).filter((name) => !fieldNames.includes(name))).toEqual([]);
  for (const moment of [record.notBefore, record.expiresAt, record.issuedAt, record.revokedAt]) {
    // A time that is not a number would never be later than now, and no token would end.
    expect(moment === undefined || Number.isFinite(moment)).toBe(true);
  }
  for (const list of [
    record.groups ?? [],
    record.audiences ?? ['x'],
    ...Object.values(record.extra ?? {}),
  ]) {
    expect(list.every((text) => typeof text === 'string' && text !== '')).toBe(true);
  }
  expect(record.audiences).not.toEqual([]);
}

describe.each(names)('records as %s', (name) => {
  const { read } = layouts[name];

  test('are the same after they were written and read', () => {
    fc.assert(
      fc.property(goodRecord, (record) => {
        expect(read(stored[name](record))).toEqual({ record });
      }),
    );
  });

  test('with any other content never throw, and are valid only by the rules', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        verify(
          read(name === 'json' ? JSON.stringify(record) : hashOf(record)),
          Object.keys(record),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('that lack a username or were revoked never authenticate', () => {
    fc.assert(
      fc.property(anyRecord, fc.date({ noInvalidDate: true }), (record, now) => {
        const found = read(name === 'json' ? JSON.stringify(record) : hashOf(record));
        if (found === undefined || 'problem' in found) return;
        const decision = decideByRecord(found.record, undefined, now.getTime());
        if (Object.hasOwn(record, 'revokedAt'))
          expect(decision).toMatchObject({ reason: 'revoked' });
        if (decision.kind === 'authenticated')
          expect(decision.user.username).toBe(found.record.username);
      }),
      { numRuns: 1_000 },
    );
  });
});

test('any text, and broken JSON, is read without a throw', () => {
  const damaged = fc
    .tuple(anyRecord, fc.nat(), fc.string({ unit: anyCharacter, maxLength: 3 }))
    .map(([record, place, text]) => {
      const whole = JSON.stringify(record);
      const at = place % (whole.length + 1);
      return whole.slice(0, at) + text + whole.slice(at + text.length);
    });
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: anyCharacter }), fc.json(), damaged), (text) => {
      const found = layouts.json.read(text);
      expect(found).toBeDefined();
      if (found === undefined || 'problem' in found) return;
      verify(found, Object.keys(JSON.parse(text)));
    }),
    { numRuns: 2_000 },
  );
});

test('any fields of a hash are read without a throw', () => {
  const text = fc.oneof(fc.string({ unit: anyCharacter }), fc.json(), moments);
  fc.assert(
    fc.property(fc.dictionary(field, text), (fields) => {
      verify(layouts.hash.read(Object.entries(fields).flat()), Object.keys(fields));
    }),
    { numRuns: 2_000 },
  );
});

test('a change of JSON changes only the fields of the change', () => {
  const withoutRevocation = goodRecord.filter(({ revokedAt }) => revokedAt === undefined);
  const foreign = fc.dictionary(
    fc.string().map((name) => `x-${name}`),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(
      withoutRevocation,
      foreign,
      goodRecord,
      (record, others, { revokedBy, revokedReason }) => {
        const text = JSON.stringify({ ...others, ...JSON.parse(writeJson(record)) });
        if (text.includes('\uFFFD')) return;
        const changes = { revokedAt: 0, revokedBy, revokedReason };
        const changed = changeJson(text, changes);
        expect(layouts.json.read(changed)).toEqual({
          record: { ...record, ...JSON.parse(JSON.stringify(changes)) },
        });
        expect(JSON.parse(changed)).toMatchObject(JSON.parse(text));
      },
    ),
  );
});

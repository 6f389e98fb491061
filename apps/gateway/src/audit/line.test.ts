import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AuditEntry } from './entry.ts';
import { auditLine } from './line.ts';

const origin = {
  time: '2030-01-31T12:00:00.007Z',
  boot: 'b',
  sequence: 3,
  dropped: undefined,
  unwritten: undefined,
  fingerprint: undefined,
  review: 'r',
};
const entry = {
  outcome: 'authenticated',
  username: 'jane',
  seconds: 1,
  asked: [],
} as unknown as AuditEntry;

test('a line begins with what tells whose it is, and leaves out what there is not', () => {
  expect(auditLine({ ...origin, fingerprint: 'f', dropped: 2 }, entry)).toBe(
    '{"time":"2030-01-31T12:00:00.007Z","boot":"b","sequence":3,"dropped":2,"fingerprint":"f","review":"r",' +
      '"outcome":"authenticated","username":"jane","seconds":1,"asked":[]}\n',
  );
});

test('no name can end its line, start another or turn it around; each is read back as it was', () => {
  const unfit = '\n\r\u0085\u2028\u2029\u001b[2J\u007f\u009b"\\\u202e\u2066\u200b\u{e0041}\ufeff\ud800';
  const name = fc.oneof(fc.constant(unfit), fc.string({ unit: 'binary', maxLength: 40 }));
  fc.assert(
    fc.property(name, (username) => {
      const line = auditLine(origin, { ...entry, username });
      expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(JSON.parse(line)).toEqual({ ...origin, ...entry, username });
    }),
  );
});

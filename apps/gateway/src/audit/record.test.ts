import { expect, test } from 'vitest';
import type { ReviewReport } from '../server/review-report.ts';
import type { PendingLine } from './line-queue.ts';
import { createAuditRecord } from './record.ts';

const report: ReviewReport = {
  id: 'r',
  at: 0,
  seconds: 0,
  version: 'v1',
  outcome: 'unknown',
  end: { kind: 'no-opinion' },
  answers: [],
  token: 'the-token',
  callerGone: false,
};

test('numbers go on over lines that are dropped, and the next one tells how many', () => {
  const lines: { sequence: number; dropped?: number; fingerprint?: string }[] = [];
  let [hasRoom, dropped] = [true, 0];
  const offer = ({ text }: PendingLine) => {
    if (hasRoom) lines.push(JSON.parse(text()));
    return hasRoom;
  };
  const record = createAuditRecord('b', offer, () => (dropped += 1));
  record.write(report);
  expect(lines).toEqual([]);
  record.use((token) => token.toUpperCase());
  record.write(report);
  hasRoom = false;
  record.write(report);
  record.write(report);
  hasRoom = true;
  // A report that no line can be made of is missed as well, and nothing is thrown.
  record.write({ ...report, at: Number.NaN });
  record.write(report);
  record.write({ ...report, token: undefined });
  record.use(undefined);
  record.write(report);
  expect(dropped).toBe(3);
  expect(lines.map(({ sequence, dropped: before, fingerprint }) => [sequence, before, fingerprint])).toEqual([
    [1, undefined, 'THE-TOKEN'],
    [5, 3, 'THE-TOKEN'],
    [6, undefined, undefined],
  ]);
});

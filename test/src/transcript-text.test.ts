import { expect, test } from 'vitest';
import { fixedText } from './testing/transcript.ts';

test.each(['00:00:00', '12:00:00', '23:59:57'])(
  'a transcript that begins at %s has the same times as any other',
  (time) => {
    const start = Date.parse(`2026-11-29T${time}.000Z`);
    const after = (milliseconds: number) => new Date(start + milliseconds).toISOString();
    // The test needs 20 s, and a certificate is valid for a year.
    for (const passed of [0, 5000, 20_000]) {
      const expires = after(passed + 365 * 86_400_000);
      const printed = `${after(passed)} ${after(passed).slice(0, 16).replace('T', ' ')} ${expires.slice(0, 10)} ${expires}`;
      expect([passed, fixedText(printed, start, [])]).toEqual([
        passed,
        '2030-01-31T12:00:00.000Z 2030-01-31 12:00 2031-01-31 2031-01-31T12:00:00.000Z',
      ]);
    }
  },
);

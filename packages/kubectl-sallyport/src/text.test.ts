import { expect, onTestFinished, test, vi } from 'vitest';
import { localTime } from './text.ts';

test.each([
  { offset: 0, shown: '2026-12-02 03:40 UTC' },
  { offset: 60, shown: '2026-12-02 04:40 +01:00' },
  { offset: 330, shown: '2026-12-02 09:10 +05:30' },
  { offset: -570, shown: '2026-12-01 18:10 -09:30' },
])('a clock that is $offset minutes ahead of UTC shows $shown', ({ offset, shown }) => {
  expect(localTime('2026-12-02T03:40:59Z', offset)).toBe(shown);
});

test('the clock of this machine is used', () => {
  // JavaScript counts the minutes that UTC is ahead.
  const offset = vi.spyOn(Date.prototype, 'getTimezoneOffset').mockReturnValue(-330);
  onTestFinished(() => offset.mockRestore());
  expect(localTime('2026-12-02T03:40:59Z')).toBe('2026-12-02 09:10 +05:30');
});

test('a time that can not be read is a dash', () => {
  expect(localTime('soon')).toBe('-');
});

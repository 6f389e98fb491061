import { durationText, parseDuration } from '@sallyport/plugin-kit';

const millisecondsPer = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/**
 * Formats a measured duration, rounded down: from 2 days on to the hour, from 10 minutes on to the minute, below that to the second.
 * A negative one, from a clock that is ahead of ours, is `0s`.
 */
export function roundedDuration(milliseconds: number): string {
  const { d, h, m, s } = millisecondsPer;
  const step = milliseconds < 10 * m ? s : milliseconds < 2 * d ? m : h;
  return durationText(Math.max(0, Math.floor(milliseconds / step) * step));
}

/** Formats a duration exactly, as an option takes it: `8h`, `36h`, `2d2h30m`. @param milliseconds a whole number above 0 */
export function optionDuration(milliseconds: number): string {
  const text = durationText(milliseconds);
  const parsed = parseDuration(text);
  if ('value' in parsed && parsed.value === milliseconds) return text;
  let remaining = milliseconds;
  return Object.entries(millisecondsPer)
    .map(([unit, length]) => {
      const count = Math.floor(remaining / length);
      remaining %= length;
      return count === 0 ? '' : `${count}${unit}`;
    })
    .join('');
}

/** Formats a time as `2030-01-31T12:00:00.010Z`, or without the milliseconds where there are none. */
export function timeText(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z');
}

/** Formats a moment of Redis' clock, to the second. @param time milliseconds since 1970 */
export function momentText(time: number): string {
  return timeText(new Date(time - (time % 1_000)));
}

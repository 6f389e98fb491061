import { durationText } from '@sallyport/plugin-kit';

/**
 * Formats a measured duration: from 10 minutes on to the minute, below that to the second, rounded down. A negative one, from a
 * clock that is ahead of ours, is `0s`.
 */
export function roundedDuration(milliseconds: number): string {
  const step = milliseconds < 600_000 ? 1_000 : 60_000;
  return durationText(Math.max(0, Math.floor(milliseconds / step) * step));
}

/** Formats a time as `2030-01-31T12:00:00.010Z`, or without the milliseconds where there are none. */
export function timeText(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z');
}

/** Formats a moment of Redis' clock, to the second. @param time milliseconds since 1970 */
export function momentText(time: number): string {
  return timeText(new Date(time - (time % 1_000)));
}

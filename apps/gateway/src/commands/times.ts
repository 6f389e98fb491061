const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, y: 365 * 86_400_000 } as const;

type Unit = keyof typeof units;

/** Durations below `below` milliseconds are written in `unit`, and what is left over in `rest`. */
const steps: readonly (readonly [below: number, unit: Unit, rest?: Unit])[] = [
  [2 * units.m, 's'],
  [10 * units.m, 'm', 's'],
  [3 * units.h, 'm'],
  [8 * units.h, 'h', 'm'],
  [2 * units.d, 'h'],
  [8 * units.d, 'd', 'h'],
  [2 * units.y, 'd'],
  [8 * units.y, 'y', 'd'],
];

/**
 * Formats a duration as kubectl's AGE does: `45s`, `5d3h`, `2y10d`. It rounds down; years have 365 days. A negative duration, from a
 * clock that is ahead of ours, is `0s`. Source: HumanDuration in kubernetes/apimachinery pkg/util/duration/duration.go.
 */
export function humanDuration(milliseconds: number): string {
  const length = Math.max(0, milliseconds);
  const [, unit = 'y', rest] = steps.find(([below]) => length < below) ?? [];
  const left = length % units[unit];
  const inUnit = (part: number, of: Unit) => `${Math.floor(part / units[of])}${of}`;
  return (
    inUnit(length, unit) + (rest === undefined || left < units[rest] ? '' : inUnit(left, rest))
  );
}

/** Formats a time as `2030-01-31T12:00:00.010Z`, or without the milliseconds where there are none. */
export function timeText(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z');
}

/** Formats a moment of Redis' clock, to the second. @param time milliseconds since 1970 */
export function momentText(time: number): string {
  return timeText(new Date(time - (time % 1_000)));
}

/** Formats a duration exactly, as options take it: `90m`, `36h`. @param milliseconds a whole number, above 0 */
export function optionDuration(milliseconds: number): string {
  const [unit = '', length = 1] = Object.entries(units).findLast(
    ([name, each]) => name !== 'y' && milliseconds % each === 0,
  ) ?? ['ms'];
  return `${milliseconds / Number(length)}${unit}`;
}

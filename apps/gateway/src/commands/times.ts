const [second, minute, hour, day, year] = [1_000, 60_000, 3_600_000, 86_400_000, 365 * 86_400_000] as const;

const letters = new Map([
  [second, 's'],
  [minute, 'm'],
  [hour, 'h'],
  [day, 'd'],
  [year, 'y'],
]);

interface Step {
  readonly under: number;
  readonly unit: number;
  readonly rest?: number;
}

/** Durations below `under` are written in `unit`, and what is left over in `rest`. */
const steps: readonly Step[] = [
  { under: 2 * minute, unit: second },
  { under: 10 * minute, unit: minute, rest: second },
  { under: 3 * hour, unit: minute },
  { under: 8 * hour, unit: hour, rest: minute },
  { under: 2 * day, unit: hour },
  { under: 8 * day, unit: day, rest: hour },
  { under: 2 * year, unit: day },
  { under: 8 * year, unit: year, rest: day },
];

/**
 * Formats a duration as kubectl's AGE does: `45s`, `5d3h`, `2y10d`. It rounds down; years have 365 days. A negative duration, from a
 * clock that is ahead of ours, is `0s`. Source: HumanDuration in kubernetes/apimachinery pkg/util/duration/duration.go.
 *
 * @param milliseconds finite
 */
export function humanDuration(milliseconds: number): string {
  const length = Math.max(0, milliseconds);
  const { unit, rest }: Omit<Step, 'under'> = steps.find(({ under }) => length < under) ?? { unit: year };
  const left = length % unit;
  return inUnit(length, unit) + (rest === undefined || left < rest ? '' : inUnit(left, rest));
}

function inUnit(length: number, unit: number): string {
  return `${Math.floor(length / unit)}${letters.get(unit)}`;
}

/** Formats a time as `2030-01-31T12:00:00.010Z`, or without the milliseconds where there are none. */
export function timeText(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z');
}

/** Formats a moment of Redis' clock, to the second. @param time milliseconds since 1970 */
export function momentText(time: number): string {
  return timeText(new Date(time - (time % 1_000)));
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;

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

/** Durations below `under` are told in `unit`, and what is left over in `rest`; longer ones in years. */
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

const inYears: Omit<Step, 'under'> = { unit: year };

/**
 * A duration as kubectl's AGE tells it: `45s`, `5d3h`, `2y10d`. Rounded down; years have 365 days. What is negative is
 * `0s`: a clock that is ahead of ours. Source: HumanDuration in kubernetes/apimachinery pkg/util/duration/duration.go.
 *
 * @param milliseconds finite
 */
export function humanDuration(milliseconds: number): string {
  const length = Math.max(0, milliseconds);
  const { unit, rest } = steps.find(({ under }) => length < under) ?? inYears;
  const left = length % unit;
  return inUnit(length, unit) + (rest === undefined || left < rest ? '' : inUnit(left, rest));
}

function inUnit(length: number, unit: number): string {
  return `${Math.floor(length / unit)}${letters.get(unit)}`;
}

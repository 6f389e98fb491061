/**
 * Words a duration for messages as options write it: `300ms`, `12s`. From 2 minutes on it is
 * rounded to `4m`, from 2 hours on to `3h`.
 */
export function durationText(milliseconds: number): string {
  if (milliseconds >= 7_200_000) return `${Math.round(milliseconds / 3_600_000)}h`;
  if (milliseconds >= 120_000) return `${Math.round(milliseconds / 60_000)}m`;
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${Math.round(milliseconds)}ms`;
}

/** Words how long ago something was, in whole seconds. */
export function ageText(milliseconds: number): string {
  return milliseconds < 1000 ? 'just now' : `${durationText(Math.round(milliseconds / 1000) * 1000)} ago`;
}

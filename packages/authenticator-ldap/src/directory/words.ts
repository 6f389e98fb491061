/** A length of time for messages: `300 ms`, `12 s`, `4 min`, `3 h`. Rounded; under 2 of a unit the smaller one is used. */
export function inWords(milliseconds: number): string {
  if (milliseconds < 2000 && milliseconds % 1000 !== 0) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 120_000) return `${Math.round(milliseconds / 1000)} s`;
  if (milliseconds < 7_200_000) return `${Math.round(milliseconds / 60_000)} min`;
  return `${Math.round(milliseconds / 3_600_000)} h`;
}

/** How long ago something was, for messages. */
export function ageInWords(milliseconds: number): string {
  return milliseconds < 1000 ? 'just now' : `${inWords(Math.round(milliseconds / 1000) * 1000)} ago`;
}

const second = 1_000;

/**
 * ISO 8601, UTC, of wall clock milliseconds since 1970. What all times of a second begin with is made once.
 *
 * @throws RangeError for what is no time
 */
export function createIsoTimes(): (at: number) => string {
  let known = { second: Number.NaN, text: '' };
  return (at) => {
    const whole = Math.floor(at / second);
    if (whole !== known.second) known = { second: whole, text: new Date(whole * second).toISOString().slice(0, -4) };
    return `${known.text}${String(Math.trunc(at - whole * second)).padStart(3, '0')}Z`;
  };
}

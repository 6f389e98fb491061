import { AuthenticatorError } from '@sallyport/authenticator';
import type { Entry } from '../connection/types.ts';
import { onlyText } from './entry-values.ts';

/** Reads a time from the text of an attribute: milliseconds since 1970; undefined when the text means no time. */
export type ReadTime = (text: string) => number | undefined;

/**
 * The time of an attribute with one value.
 *
 * @returns milliseconds since 1970; undefined when there is no value, or it means no time
 * @throws AuthenticatorError `failed` when it can't be read: a time that is not understood may be one that ends an account
 */
export function timeOf(entry: Entry, attribute: string, read: ReadTime): number | undefined {
  const text = onlyText(entry, attribute);
  if (text === undefined) return undefined;
  const time = read(text);
  if (time === undefined || !Number.isNaN(time)) return time;
  throw new AuthenticatorError(
    'failed',
    `the attribute ${attribute} of ${entry.dn} is no time: look at the entry there`,
  );
}

const generalized = /^(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d|60)?)?(?:[.,](\d+))?(?:Z|([+-])(\d\d)(\d\d)?)$/;

/** RFC 4517 section 3.3.13: `20310501120000Z`, also with a fraction or an offset. NaN for any other text, and for month 13. */
export function generalizedTime(text: string): number {
  const match = generalized.exec(text);
  if (match === null) return Number.NaN;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const [fraction = '0', sign, hours = 0, minutes = 0] = match.slice(7);
  const unit = match[6] !== undefined ? 1_000 : match[5] !== undefined ? 60_000 : 3_600_000;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isDay = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isDay || hour > 23 || minute > 59 || Number(hours) > 23 || Number(minutes) > 59) return Number.NaN;
  date.setUTCHours(hour, minute, second, Number(`0.${fraction}`) * unit);
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return date.getTime() - (sign === '-' ? -offset : offset);
}

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** A generalized time, or one of RFC 3339, as LLDAP has written them. NaN for any other text. */
export function creationTime(text: string): number {
  return rfc3339.test(text) ? Date.parse(text) : generalizedTime(text);
}

/** From 1601 to 1970, in milliseconds. */
const epochOfWindows = 11_644_473_600_000n;

/**
 * Active Directory's times: hundreds of nanoseconds since 1601 (MS-DTYP section 2.3.3). Both 0 and the greatest number mean
 * none (MS-ADA1 section 2.1). NaN for any other text.
 */
export function windowsTime(text: string): number | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return Number.NaN;
  const ticks = BigInt(text);
  if (ticks === 0n || ticks >= 0x7fff_ffff_ffff_ffffn) return undefined;
  return Number(ticks / 10_000n - epochOfWindows);
}

/** Days since 1970 (RFC 2307). 0 and -1 mean none: shadow(5) warns of 0. NaN for any other text. */
export function shadowDay(text: string): number | undefined {
  if (!/^-?\d{1,7}$/.test(text)) return Number.NaN;
  const day = Number(text);
  return day > 0 ? day * 86_400_000 : undefined;
}

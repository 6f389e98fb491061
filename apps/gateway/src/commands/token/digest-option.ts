import { UsageError } from '../usage-error.ts';

/** Of SHA-256 in hexadecimal. */
export const digestLength = 64;

/**
 * The digits of `--digest`, in lower case.
 *
 * @param least how many there must be
 * @throws UsageError
 */
export function readDigits(text: string, least: number): string {
  const digits = text.toLowerCase();
  if (!/^[0-9a-f]*$/.test(digits)) throw new UsageError('--digest has a character that is no hexadecimal digit');
  if (digits.length > digestLength)
    throw new UsageError(`--digest has ${digits.length} digits: SHA-256 has ${digestLength}`);
  if (digits.length < least) {
    throw new UsageError(`--digest has ${digits.length} digits: give at least the first ${least} of ${digestLength}`);
  }
  return digits;
}

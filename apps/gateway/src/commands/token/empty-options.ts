import { UsageError } from '../usage-error.ts';

/**
 * An empty option is what a script leaves of a variable that is not set: it is not taken for one that is left out.
 *
 * @param options values by option
 * @throws UsageError with the option's name
 */
export function refuseEmpty(options: Readonly<Record<string, string | readonly string[] | undefined>>): void {
  for (const [option, value] of Object.entries(options)) {
    if (value !== undefined && [value].flat().some((one) => one.trim() === '')) {
      throw new UsageError(`${option} is empty: give it a value, or leave it out`);
    }
  }
}

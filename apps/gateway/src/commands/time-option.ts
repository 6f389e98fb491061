import { z } from 'zod';
import { UsageError } from './usage-error.ts';

/**
 * The moment that an option names, in RFC 3339 with a zone: without one it would mean another moment on each machine.
 *
 * @throws UsageError with the option's name
 */
export function parseTime(option: string, text: string): Date {
  if (z.iso.datetime({ offset: true }).safeParse(text).success) return new Date(text);
  throw new UsageError(`${option} must be a time with its zone, such as 2030-01-31T12:00:00Z`);
}

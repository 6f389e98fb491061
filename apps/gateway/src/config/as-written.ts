import type { Path } from './problems.ts';

const durations = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
const sizes = { GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024, B: 1 } as const;

/**
 * Formats a duration (in milliseconds) or a size (in bytes) for a message: as the file has it, or, when the file leaves it
 * out, in the biggest unit that fits.
 *
 * @param file the whole file, as written
 */
export function asWritten(file: unknown, path: Path, value: number, kind: 'duration' | 'size'): string {
  const written = path.reduce<unknown>(
    (inner, step) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, step) : undefined),
    file,
  );
  if (typeof written === 'string') return written;
  const units = Object.entries(kind === 'duration' ? durations : sizes);
  const [unit, length] = units.find(([, one]) => value % one === 0) ?? ['', 1];
  return `${value / length}${unit}`;
}

import { parseDuration } from '@sallyport/plugin-options';
import { UsageError } from '../usage-error.ts';

interface Bounds {
  /** What to write instead. */
  readonly example: string;
  readonly most: { readonly value: number; readonly text: string };
  /** Zero is refused. */
  readonly isPositive?: boolean;
}

/** @returns milliseconds. @throws UsageError with the option's name */
function readDuration(option: string, text: string, { example, most, isPositive }: Bounds): number {
  const parsed = parseDuration(text);
  const instead = `write ${option} ${example}`;
  if ('problem' in parsed) throw new UsageError(`${option}: ${parsed.problem}: ${instead}`);
  if (isPositive && parsed.value === 0) throw new UsageError(`${option} must be longer than 0: ${instead}`);
  if (parsed.value > most.value) throw new UsageError(`${option} must be at most ${most.text}: ${instead}`);
  return parsed.value;
}

const dayLength = 86_400_000;

/** How long a block holds. @throws UsageError */
export function readFor(text: string | undefined): number {
  if (text === undefined) throw new UsageError('--for is missing: say how long, such as --for 8h or 30d');
  const most = { value: 366 * dayLength, text: '366d' };
  return readDuration('--for', text, { example: '8h or 30d', most, isPositive: true });
}

/** How long to wait for the replicas. @throws UsageError */
export function readWait(text: string | undefined): number {
  const most = { value: 600_000, text: '10m' };
  return text === undefined ? 5_000 : readDuration('--wait', text, { example: '5s', most });
}

import type { Parsed } from './text.ts';

const millisecondsPer = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
const bytesPer: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  Ki: 1024,
  MiB: 1024 ** 2,
  Mi: 1024 ** 2,
  GiB: 1024 ** 3,
  Gi: 1024 ** 3,
};

const number = String.raw`\d+(?:\.\d+)?`;

/** As a JSON Schema `pattern`: Go's durations (`1h30m`, `1.5s`) down to milliseconds, and days. `0` needs no unit. */
export const durationPattern: string = `^(?:0|(?=\\d)(?:${number}d)?(?:${number}h)?(?:${number}m)?(?:${number}s)?(?:${number}ms)?)$`;

/** As a JSON Schema `pattern`: bytes, or powers of 1024 with or without Kubernetes' short spelling. */
export const sizePattern: string = `^${number}(?:B|KiB|Ki|MiB|Mi|GiB|Gi)$`;

const durationFix = 'write 3s, 500ms, 2m or 1h';
const sizeFix = 'write 256KiB, 1MiB or 512B';
const duration = new RegExp(durationPattern);
const size = new RegExp(sizePattern);

/**
 * A duration in milliseconds. Units go from big to small, each once: `1d`, `1h30m`, `2m`, `1.5s`, `300ms`, `0`.
 * Parts of a millisecond are refused, not rounded.
 */
export function parseDuration(input: unknown): Parsed<number> {
  if (input === 0 || input === '0') return { value: 0 };
  const text = unitText(input, 'duration', durationFix);
  if (typeof text !== 'string') return text;
  if (!duration.test(text)) return { problem: `"${text}" is not a duration`, fix: durationFix };
  const milliseconds = sum(text.matchAll(/([\d.]+)(ms|[dhms])/g), millisecondsPer);
  if (!Number.isSafeInteger(milliseconds))
    return { problem: `"${text}" is not a whole number of milliseconds`, fix: durationFix };
  return { value: milliseconds };
}

/**
 * A size in bytes. `KB` and `MB` are refused: some read them as powers of 1000, some of 1024.
 */
export function parseSize(input: unknown): Parsed<number> {
  const text = unitText(input, 'size', sizeFix);
  if (typeof text !== 'string') return text;
  const decimal = /^([\d.]+)(k|K|M|G)B?$/.exec(text);
  if (decimal) {
    const fix = `write ${decimal[1]}${decimal[2]?.toUpperCase()}iB`;
    return { problem: `"${text}" may mean powers of 1000 or of 1024`, fix };
  }
  if (!size.test(text)) return { problem: `"${text}" is not a size`, fix: sizeFix };
  const bytes = sum(text.matchAll(/([\d.]+)([A-Za-z]+)/g), bytesPer);
  if (!Number.isSafeInteger(bytes)) return { problem: `"${text}" is not a whole number of bytes`, fix: sizeFix };
  return { value: bytes };
}

/** @returns the text to parse, or the problem when it has no unit or is not text */
function unitText(input: unknown, what: string, fix: string): string | { problem: string; fix: string } {
  if (typeof input === 'number' || (typeof input === 'string' && /^\d+(\.\d+)?$/.test(input.trim()))) {
    return { problem: `"${input}" has no unit`, fix };
  }
  if (typeof input !== 'string') return { problem: `must be a ${what}`, fix };
  return input;
}

function sum(parts: Iterable<RegExpMatchArray>, factors: Readonly<Record<string, number>>): number {
  let total = 0;
  for (const [, amount = '', unit = ''] of parts) total += exactProduct(amount, factors[unit] ?? Number.NaN);
  return total;
}

/** Digits and decimal places are multiplied separately: as binary fractions `1.1 * 1000` is 1100.0000000000002. */
function exactProduct(amount: string, factor: number): number {
  const [whole = '', fraction = ''] = amount.split('.');
  return (Number(whole + fraction) * factor) / 10 ** fraction.length;
}

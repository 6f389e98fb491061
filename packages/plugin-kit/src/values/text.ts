import { BlockList, isIP } from 'node:net';

/** A parser returns the value, or what is wrong and what to write instead. */
export type ParseResult<Value> =
  | { readonly value: Value }
  | { readonly problem: string; readonly fix: string };

/**
 * Parses one line of text that is not empty.
 *
 * @returns a problem that quotes nothing of the input: it may be a secret in a wrong place
 */
export function parseText(input: unknown, example: string): ParseResult<string> {
  const fix = `write ${example}`;
  if (input === null) return { problem: 'is empty', fix };
  if (typeof input !== 'string') return { problem: 'must be a string', fix };
  if (input === '') return { problem: 'must not be empty', fix };
  if (!input.isWellFormed() || /\p{Cc}/u.test(input))
    return { problem: 'must be a single-line string', fix };
  return { value: input };
}

/**
 * Reads a regular expression that whole tokens match.
 *
 * @param compile throws if it does not support the expression
 * @param writePrefix writes the option that takes the prefix of a glob such as `robot_*`
 */
export function parsePattern<Pattern extends { matches(text: string): boolean }>(
  input: unknown,
  compile: (expression: string) => Pattern,
  example: string,
  writePrefix: (prefix: string) => string,
): ParseResult<Pattern> {
  const parsed = parseText(input, example);
  if ('problem' in parsed) return parsed;
  const fix = `write one such as ${example}`;
  const [, prefix] = /^([\w-]+\w)\*$/.exec(parsed.value) ?? [];
  if (prefix !== undefined)
    return {
      problem: 'is a glob: as a regular expression, its * repeats only the character before it',
      fix: `write ${prefix}.*, or ${writePrefix(prefix)} in place of it`,
    };
  const [, inner] = /^\/(.+)\/[a-z]*$/.exec(parsed.value) ?? [];
  if (inner !== undefined)
    return {
      problem: 'is between slashes, which are a part of the pattern here',
      fix: `write ${inner.replace(/^\^/, '').replace(/\$$/, '')}`,
    };
  try {
    const pattern = compile(parsed.value);
    return pattern.matches('')
      ? { problem: 'matches an empty string, so it might match anything', fix }
      : { value: pattern };
  } catch (error) {
    const reason = error instanceof Error ? `: ${oneLine(error.message)}` : '';
    return {
      problem: `is not a regular expression of RE2${reason}`,
      fix: `${fix}; look-around and back-references are not supported`,
    };
  }
}

/** Whether a text is the name of a host in ASCII (RFC 1123 section 2.1). */
export function isHostName(text: string): boolean {
  const labels = text.split('.');
  const wellFormed = labels.every((label) =>
    /^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?$/.test(label),
  );
  // A last label of digits is a mistyped IPv4 address, and resolvers read 127.1 as one.
  return wellFormed && text.length <= 253 && isIP(text) === 0 && !/^\d+$/.test(labels.at(-1) ?? '');
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * Whether traffic to a host never leaves this machine: 127.0.0.0/8, ::1 (even the IPv4 ones written
 * as IPv6) and `localhost`.
 */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  // Node's first test for IPv6 costs 10 ms. `isIP` makes none for an IPv4 address.
  const family = isIP(host);
  return family !== 0 && loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** Shortens free text of a server or of the system for a message of one line, and drops what is not printable. */
export function oneLine(text: string): string {
  const printable = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return printable.length > 200 ? `${printable.slice(0, 200)}...` : printable;
}

type Units = Readonly<Record<string, number>>;

const millisecondsPer: Units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
const [Ki, Mi, Gi] = [1024, 1024 ** 2, 1024 ** 3];
const bytesPer: Units = { B: 1, KiB: Ki, Ki, MiB: Mi, Mi, GiB: Gi, Gi };

const number = String.raw`\d+(?:\.\d+)?`;

/**
 * The JSON Schema `pattern` of Go's durations (`1h30m`, `1.5s`) down to milliseconds, and of days.
 * `0` needs no unit.
 */
export const durationPattern: string = `^(?:0|(?=\\d)(?:${number}d)?(?:${number}h)?(?:${number}m)?(?:${number}s)?(?:${number}ms)?)$`;

/** The JSON Schema `pattern` of bytes, or powers of 1024 with or without Kubernetes' short spelling. */
export const sizePattern: string = `^${number}(?:B|KiB|Ki|MiB|Mi|GiB|Gi)$`;

/**
 * Parses a duration as milliseconds. Units go from big to small, each once: `1d`, `1h30m`, `2m`, `1.5s`, `300ms`, `0`.
 * Parts of a millisecond are refused, not rounded.
 */
export function parseDuration(input: unknown): ParseResult<number> {
  if (input === 0 || input === '0') return { value: 0 };
  return parseUnits(input, durationPattern, millisecondsPer, {
    quantity: 'duration',
    baseUnit: 'milliseconds',
    fix: 'write 3s, 500ms, 2m or 1h',
  });
}

/**
 * Words a duration for messages, as {@link parseDuration} reads it: `300ms`, `12s`. From 2 minutes on it is rounded to the
 * smaller one of two units: `2m30s`, `3h5m`, `2d12h`, or `4m` where nothing is left over.
 */
export function durationText(milliseconds: number): string {
  const inUnits = (unit: string, per: number, small: string) => {
    const total = Math.round((milliseconds * per) / (millisecondsPer[unit] ?? Number.NaN));
    return `${Math.floor(total / per)}${unit}${total % per === 0 ? '' : `${total % per}${small}`}`;
  };
  if (milliseconds >= 172_800_000) return inUnits('d', 24, 'h');
  if (milliseconds >= 7_200_000) return inUnits('h', 60, 'm');
  if (milliseconds >= 120_000) return inUnits('m', 60, 's');
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${Math.round(milliseconds)}ms`;
}

/** Words how long ago something was, in whole seconds. */
export function ageText(milliseconds: number): string {
  return milliseconds < 1000
    ? 'just now'
    : `${durationText(Math.round(milliseconds / 1000) * 1000)} ago`;
}

/**
 * Parses a size as bytes. `KB` and `MB` are refused: some read them as powers of 1000, some of 1024.
 */
export function parseSize(input: unknown): ParseResult<number> {
  const [text, amount, unit] =
    (typeof input === 'string' && /^([\d.]+)(k|K|M|G)B?$/.exec(input)) || [];
  if (unit !== undefined) {
    return {
      problem: `"${text}" may mean powers of 1000 or of 1024`,
      fix: `write ${amount}${unit.toUpperCase()}iB`,
    };
  }
  const words = { quantity: 'size', baseUnit: 'bytes', fix: 'write 256KiB, 1MiB or 512B' };
  return parseUnits(input, sizePattern, bytesPer, words);
}

function parseUnits(
  input: unknown,
  pattern: string,
  units: Units,
  { quantity, baseUnit, fix }: Readonly<Record<'quantity' | 'baseUnit' | 'fix', string>>,
): ParseResult<number> {
  if (
    typeof input === 'number' ||
    (typeof input === 'string' && /^\d+(\.\d+)?$/.test(input.trim()))
  ) {
    return { problem: `"${input}" has no unit`, fix };
  }
  if (typeof input !== 'string') return { problem: `must be a ${quantity}`, fix };
  if (!new RegExp(pattern).test(input)) return { problem: `"${input}" is not a ${quantity}`, fix };
  let total = 0;
  for (const [, digits = '', fraction = '', unit = ''] of input.matchAll(
    /(\d+)\.?(\d*)([A-Za-z]+)/g,
  )) {
    // Digits and decimal places are multiplied separately: as binary fractions `1.1 * 1000` is 1100.0000000000002.
    total += (Number(digits + fraction) * (units[unit] ?? Number.NaN)) / 10 ** fraction.length;
  }
  if (Number.isSafeInteger(total)) return { value: total };
  return { problem: `"${input}" is not a whole number of ${baseUnit}`, fix };
}

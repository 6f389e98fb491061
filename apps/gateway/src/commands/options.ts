import { userInfo } from 'node:os';
import { durationText, parseDuration } from '@sallyport/plugin-kit';
import { Option } from 'commander';
import { shellQuoted } from '../base/shell-quoted.ts';
import { parseListen } from '../config/listen.ts';
import type { CommandContext } from './context.ts';
import { UsageError } from './output.ts';

/** The config that a command uses when none is named. It is the one of the systemd unit and of the image. */
export const defaultConfigFile = '/etc/sallyport/gateway.yaml';

/** The options that say which config a command uses. */
export interface ConfigOptions {
  /** `--config`, else SALLYPORT_CONFIG. */
  readonly config?: string;
  /** Where `config` is from, in commander's words: `cli` or `env`. */
  readonly configSource?: string | undefined;
  /** True: the demo config of this package, unless `--config` or SALLYPORT_CONFIG names another. */
  readonly demo?: boolean;
}

/** The options of every command that reads the config and prints what it found. */
export interface ReadOptions extends ConfigOptions {
  readonly output: 'text' | 'json';
}

export interface TokenOptions {
  readonly user: string;
  readonly uid?: string;
  readonly group?: readonly string[];
  readonly audience?: readonly string[];
  /** Milliseconds; Infinity for a token without an end. */
  readonly ttl?: number;
}

export const option = {
  config: new Option(
    '--config <file>',
    `config file (default: ${defaultConfigFile}) (env: SALLYPORT_CONFIG)`,
  ),
  output: new Option('-o, --output <format>', 'output format')
    .choices(['text', 'json'])
    .default('text'),
  exact: new Option(
    '--exact',
    'accept a name without a configured prefix, or one that a directory knows by another name',
  ),
  reason: textOption('--reason <text>', 'reason, for the audit trail'),
  /** How long a block is in force, in milliseconds. */
  for: new Option(
    '--for <duration>',
    'how long the block lasts, such as 8h or 30d, at most 366d (required)',
  )
    .argParser((text) =>
      readDuration('--for', text, { example: '8h or 30d', max: 366 * 86_400_000 }),
    )
    .makeOptionMandatory(),
  /** How long an invitation is valid, in milliseconds. */
  invitationFor: new Option('--for <duration>', 'how long the invitation is valid, from 1m to 7d')
    .argParser((text) =>
      readDuration('--for', text, { example: '24h', min: 60_000, max: 7 * 86_400_000 }),
    )
    .default(86_400_000, '24h'),
  /** How long to wait for the replicas, in milliseconds. See also `lookUpLimit`. */
  wait: new Option(
    '--wait <duration>',
    'how long to wait for all replicas to confirm, and half as long (2s to 10s) for directories to check a name',
  )
    .argParser((text) =>
      readDuration('--wait', text, { example: '5s', max: 600_000, mayBeZero: true }),
    )
    .default(5_000, '5s'),
  /** The number of replicas that must confirm. */
  expect: new Option(
    '--expect <number>',
    'how many replicas must confirm at least; 0 if no gateway runs (default: all that were seen in the last hour, and at least 1)',
  ).argParser((text) => {
    if (/^\d{1,4}$/.test(text)) return Number(text);
    throw new UsageError(
      `--expect: ${JSON.stringify(text)} is not a number from 0 to 9999`,
      'write the number of gateways that run, such as --expect 3',
    );
  }),
};

/** Creates an option with a text. */
export function textOption(
  flags: string,
  description: string,
  parse = (text: string) => text,
): Option {
  const created = new Option(flags, description);
  return created.argParser((argument) => requireText(created, parse(argument)));
}

const repeatable = new WeakSet<Option>();

/** Whether an option may be given several times. */
export function isRepeatable(created: Option): boolean {
  return repeatable.has(created);
}

/**
 * Creates an option with a text that may be given several times. A list of commander (`<name...>`) also takes the words that follow,
 * such as a token that someone typed, which is then printed as a value.
 */
export function repeatableOption(
  flags: string,
  description: string,
  parse = (text: string) => text,
): Option {
  const created = new Option(flags, `${description}; repeatable`);
  repeatable.add(created);
  return created.argParser<readonly string[]>((text, values = []) => [
    ...values,
    requireText(created, parse(text)),
  ]);
}

/** Creates `--audience`. It refuses a list, as `--api-audiences` of kube-apiserver has it: no audience there contains a comma. */
export function audienceOption(description: string): Option {
  return repeatableOption('--audience <audience>', description, (text) => {
    if (!text.includes(',')) return text;
    const audiences = text
      .split(',')
      .map((audience) => `--audience ${shellQuoted(audience.trim())}`);
    throw new UsageError(
      `--audience: ${JSON.stringify(text)} has a comma, and an audience of kube-apiserver has none`,
      `write ${audiences.join(' ')}`,
    );
  });
}

/** Refuses an empty text: a script leaves it where a variable is not set. */
function requireText({ long }: Option, text: string): string {
  if (text.trim() !== '') return text;
  throw new UsageError(`${long} is empty`, 'give it a value, or leave it out');
}

/** Creates `--by`: the person who is responsible for what a command changes. */
export function byOption(environment: CommandContext['environment']): Option {
  return textOption('--by <name>', 'name of the operator, for the audit trail').default(
    operatorName(environment),
    'the user who runs this command',
  );
}

/** Creates `--jti`. It accepts `JTI=…` too, as kube-apiserver's audit log has it. */
export function jtiOption(): Option {
  const description = "jti of the token, or JTI=… as in kube-apiserver's audit log";
  return textOption('--jti <id>', description, (text) => text.replace(/^JTI=/, ''));
}

/** Returns the text that `--jti` reads as this jti. */
export function jtiText(jti: string): string {
  return jti.startsWith('JTI=') ? `JTI=${jti}` : jti;
}

export function addressOption(flags: string, description: string): Option {
  const created = new Option(flags, description);
  return created.argParser((text) => {
    const parsed = parseListen(text);
    if ('value' in parsed) return { ...parsed.value, option: created.long };
    throw new UsageError(`${created.long}: ${parsed.problem}`, parsed.fix);
  });
}

/** Creates `--ttl`: how long a token is valid, in milliseconds, or Infinity for `never`. @param now milliseconds since 1970 */
export function ttlOption(description: string, now: () => number): Option {
  return new Option('--ttl <duration>', description).argParser((text) => {
    if (text === 'never') return Number.POSITIVE_INFINITY;
    const ttl = readDuration('--ttl', text, { example: '8h, 30d or never' });
    // RFC 3339 has years of four digits.
    if (now() + ttl <= Date.parse('9999-12-31T23:59:59Z')) return ttl;
    throw new UsageError(
      `--ttl: "${text}" is too long`,
      'write --ttl never for a token that does not expire',
    );
  });
}

interface DurationRule {
  /** The value that a message proposes. */
  readonly example: string;
  /** The minimum, in milliseconds. Left out: there is none. */
  readonly min?: number;
  /** The maximum, in milliseconds. Left out: there is none. */
  readonly max?: number;
  readonly mayBeZero?: boolean;
}

function readDuration(
  name: string,
  text: string,
  { example, min, max, mayBeZero = false }: DurationRule,
): number {
  const parsed = parseDuration(text);
  const instead = `write ${name} ${example}`;
  if ('problem' in parsed) throw new UsageError(`${name}: ${parsed.problem}`, instead);
  if (parsed.value === 0 && !mayBeZero)
    throw new UsageError(`${name} must be longer than 0`, instead);
  if (min !== undefined && parsed.value < min)
    throw new UsageError(
      `${name} must be at least ${durationText(min)}`,
      `write ${name} ${durationText(min)}`,
    );
  if (max !== undefined && parsed.value > max)
    throw new UsageError(
      `${name} must be at most ${durationText(max)}`,
      `write ${name} ${durationText(max)}`,
    );
  return parsed.value;
}

/** The number of digits of a SHA-256 digest in hexadecimal. */
export const digestLength = 64;

/** Creates `--digest`, which takes the first digits of a token's digest, in any case. @param min how many there must be */
export function digestOption(description: string, min: number): Option {
  return new Option('--digest <digits>', description).argParser((text) => {
    const { length } = text;
    const fix = `copy at least the first ${min} of its ${digestLength} digits from token list or blocks`;
    if (!/^[0-9a-f]*$/i.test(text))
      throw new UsageError('--digest contains a character that is not a hexadecimal digit', fix);
    if (length > digestLength)
      throw new UsageError(`--digest has ${length} digits, and SHA-256 has ${digestLength}`, fix);
    if (length >= min) return text.toLowerCase();
    throw new UsageError(`--digest has ${length} digits`, fix);
  });
}

/** Returns who runs the command, for the record: the person behind sudo rather than root. It is never empty. */
export function operatorName(environment: CommandContext['environment']): string {
  // In a container, an account may have a number only: then `userInfo` throws.
  const account = `uid ${process.getuid?.() ?? 'unknown'}`;
  try {
    return environment.SUDO_USER || userInfo().username || account;
  } catch {
    return account;
  }
}

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { Failure, readReason, usageFailure } from './failure.ts';

/** All commands have these options. */
export const targetOptions = {
  url: { type: 'string' },
  cluster: { type: 'string' },
  'ca-file': { type: 'string' },
  username: { type: 'string' },
  context: { type: 'string' },
  kubeconfig: { type: 'string' },
} as const;

export type TargetOptions = { readonly [Name in keyof typeof targetOptions]?: string };

/** kubectl gives these options to `token` if they are in the kubeconfig. */
export const tokenOptions = {
  ...targetOptions,
  device: { type: 'string' },
  browser: { type: 'boolean' },
  'no-browser': { type: 'boolean' },
  'print-url': { type: 'boolean' },
} as const;

const modes = ['browser', 'no-browser', 'print-url'] as const;
/** What an option says about the browser. */
export type BrowserMode = (typeof modes)[number];

/** Returns the option about the browser. @throws Failure when there are several */
export function browserMode(
  values: {
    readonly [Mode in BrowserMode]?: boolean | undefined;
  },
): BrowserMode | undefined {
  const [mode, secondMode] = modes.filter((mode) => values[mode]);
  if (secondMode === undefined) return mode;
  throw usageFailure(
    `--${mode} and --${secondMode} can't be used together`,
    'write only one of them',
  );
}

/** Reads the words behind the name of a command. Only `init` has words without a dash: at most `maxPositionals`. @throws Failure */
export function parseWords<const Options extends NonNullable<ParseArgsConfig['options']>>(
  words: readonly string[],
  options: Options,
  maxPositionals = 0,
) {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options,
      allowPositionals: true,
      strict: true,
    });
    if (positionals.length > maxPositionals) {
      throw usageFailure(
        'Unexpected argument, which is not repeated here: it might be a password',
        maxPositionals === 0
          ? 'write options alone, such as --username NAME, and --context NAME or --url URL --cluster NAME for a cluster; see: kubectl sallyport --help'
          : 'write one URL, and one CLUSTER at most. To add all clusters: --all',
      );
    }
    const empty = Object.entries(values).find(([, value]) => value === '');
    if (empty !== undefined) throw new Error(`--${empty[0]} has no value`);
    return { values, positionals };
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    const [reason = ''] = readReason(cause).split(/\. |\n/);
    const names = Object.keys(options).map((name) => `--${name}`);
    const isValueMissing = /argument missing|argument is ambiguous|has no value/.test(reason);
    const forPositionals = maxPositionals > 0 ? 'write URL and CLUSTER without an option; ' : '';
    const fix = isValueMissing
      ? 'write its value after it'
      : `${forPositionals}its options are ${names.join(', ')}`;
    throw usageFailure(reason, `${fix}; see: kubectl sallyport --help`, { cause });
  }
}

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { reasonOf, usageFailure } from './failure.ts';

/** The options of all commands. */
export const targetOptions = {
  url: { type: 'string' },
  cluster: { type: 'string' },
  'ca-file': { type: 'string' },
  username: { type: 'string' },
  context: { type: 'string' },
  kubeconfig: { type: 'string' },
} as const;

export type TargetOptions = { readonly [Name in keyof typeof targetOptions]?: string };

/** What kubectl may give to `token`: what is in the kubeconfig. */
export const tokenOptions = { ...targetOptions, device: { type: 'string' } } as const;

/** Reads the words behind the name of a command. @param most how many words without a dash there may be @throws Failure */
export function parseWords<const Options extends NonNullable<ParseArgsConfig['options']>>(
  words: readonly string[],
  options: Options,
  most = 0,
) {
  try {
    const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: most > 0, strict: true });
    if (positionals.length > most) throw new Error(`Unexpected argument '${positionals[most]}'`);
    const empty = Object.entries(values).find(([, value]) => value === '');
    if (empty !== undefined) throw new Error(`--${empty[0]} has no value`);
    return { values, positionals };
  } catch (cause) {
    const [reason = ''] = reasonOf(cause).split(/\. |\n/);
    throw usageFailure(`${reason}. See: kubectl sallyport --help`, { cause });
  }
}

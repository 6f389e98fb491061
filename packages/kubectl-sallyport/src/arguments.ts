import { type ParseArgsConfig, parseArgs } from 'node:util';
import { exitCodes, Failure, usageFailure } from './failure.ts';
import { printable } from './text.ts';

/** What all commands can be told. */
export interface TargetOptions {
  readonly url?: string;
  readonly cluster?: string;
  readonly 'ca-file'?: string;
  readonly username?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

export const targetOptions: Readonly<Record<keyof TargetOptions, { readonly type: 'string' }>> = {
  url: { type: 'string' },
  cluster: { type: 'string' },
  'ca-file': { type: 'string' },
  username: { type: 'string' },
  context: { type: 'string' },
  kubeconfig: { type: 'string' },
};

/** What kubectl may give to `token`: what is in the kubeconfig. */
export const tokenOptions: typeof targetOptions & { readonly device: { readonly type: 'string' } } = {
  ...targetOptions,
  device: { type: 'string' },
};

/**
 * Reads the words behind the name of a command.
 *
 * @param positionals how many words without a dash there may be
 * @throws Failure for a word that the command does not know
 */
export function parseWords<const Options extends NonNullable<ParseArgsConfig['options']>>(
  words: readonly string[],
  options: Options,
  positionals = 0,
): { readonly values: Values<Options>; readonly positionals: readonly string[] } {
  try {
    const found = parseArgs({ args: [...words], options, allowPositionals: positionals > 0, strict: true });
    const surplus = found.positionals[positionals];
    if (surplus !== undefined) throw new Error(`Unexpected argument '${surplus}'`);
    const empty = Object.entries(found.values).find(([, value]) => value === '');
    if (empty !== undefined) throw new Error(`--${empty[0]} has no value`);
    return { values: found.values as Values<Options>, positionals: found.positionals };
  } catch (error) {
    const [reason = ''] = error instanceof Error ? error.message.split(/\. |\n/) : [];
    throw new Failure(`${printable(reason)}. See: kubectl sallyport --help`, exitCodes.usage, { cause: error });
  }
}

type Values<Options> = {
  readonly [Name in keyof Options]?: Options[Name] extends { type: 'boolean' } ? boolean : string;
};

/** @throws Failure for a password in the arguments: other users of the machine can read them */
export function refusePasswords(words: readonly string[]): void {
  if (words.some((word) => /^--?p(assword)?(=|$)/.test(word))) {
    throw usageFailure(
      'there is no --password: others could read it. Type it at the prompt, use --password-stdin, or set SALLYPORT_PASSWORD_FILE',
    );
  }
}

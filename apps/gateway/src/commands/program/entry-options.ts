import { Option } from 'commander';
import type { CommandContext } from '../context.ts';
import { byOption, option, textOption } from '../options.ts';

export const required = (flag: Option): Option => flag.makeOptionMandatory();

export const tokenOption = new Option(
  '--token',
  'one token, which is typed at a prompt or read from standard input',
);

export const userOption = (suffix = ''): Option =>
  textOption('--user <name>', `name of the user in Kubernetes, with its prefix${suffix}`);

/** The exit status of commands that wait for the replicas. */
export const confirmed: Readonly<Record<number, string>> = {
  0: 'done, and confirmed by all replicas',
  1: 'not done, or not confirmed by all replicas, or by none',
};

/** Returns the options of commands that write an entry to the revocation list. */
export function entryOptions({ environment }: CommandContext): readonly Option[] {
  return [
    option.exact,
    option.reason,
    byOption(environment),
    option.wait,
    option.expect,
    option.config,
    option.output,
  ];
}

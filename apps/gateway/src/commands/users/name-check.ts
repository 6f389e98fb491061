import { printable } from '../../base/logging/printable.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../../config/types.ts';
import type { CommandContext } from '../context.ts';
import { printRemark, UsageError } from '../output.ts';
import { commandLine, helpdeskScript } from '../printed-commands.ts';
import { lookUpLimit } from './ask-authenticators.ts';
import { findByNameInEach } from './find-by-name.ts';
import { namingAuthenticators } from './user-names.ts';

/** What all authenticators say of the name of a user. */
interface NameCheck {
  readonly name: string;
  /** An authenticator has a user of this name, also one that it refuses. */
  readonly isKnown: boolean;
  /** No authenticator has a user of this name. */
  readonly isUnknown: boolean;
  /** If no user has this name: the users that a directory finds by it, as Kubernetes sees them, such as `corp:jane` for `corp:Jane`. */
  readonly otherNames: readonly string[];
  /** Commands take these names with `--exact` only: they have no prefix, and users of other authenticators have one. */
  readonly isExact: boolean;
  /** The authenticators that could not check it, and why. Empty if another one knows the name. */
  readonly unchecked: readonly string[];
}

/**
 * Asks the authenticators whose users have names like this one. It never throws.
 *
 * @param name as Kubernetes sees it
 * @param wait see `lookUpLimit`
 */
export async function checkName(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
  wait?: number,
): Promise<NameCheck> {
  const owners = findOwners(config, name);
  const answers = await findByNameInEach(context, config, owners, name, lookUpLimit(wait));
  const names = answers.flatMap((answer) => {
    if (answer.kind === 'refused') return [name];
    return answer.kind === 'found' ? [answer.policyAnswer.user.username] : [];
  });
  const isKnown = names.includes(name);
  const unchecked = answers.flatMap((answer) =>
    answer.kind === 'failed' ? [`${answer.config.name} can't check it (${answer.reason})`] : [],
  );
  return {
    name,
    isKnown,
    isUnknown: answers.every(({ kind }) => kind === 'not found'),
    otherNames: isKnown ? [] : [...new Set(names)],
    isExact: isBare(config, owners),
    unchecked: isKnown ? [] : unchecked,
  };
}

/** Returns the authenticators with the longest prefix that the name has: the identity policy refuses it as a name of the others. */
function findOwners(config: GatewayConfig, name: string): AuthenticatorConfig[] {
  const theirs = namingAuthenticators(config).filter(({ username: { prefix } }) =>
    name.startsWith(prefix),
  );
  const maxLength = Math.max(...theirs.map(({ username: { prefix } }) => prefix.length));
  return theirs.filter(({ username: { prefix } }) => prefix.length === maxLength);
}

function isBare(config: GatewayConfig, owners: readonly AuthenticatorConfig[]): boolean {
  const hasPrefix = ({ username: { prefix } }: AuthenticatorConfig) => prefix !== '';
  return !owners.some(hasPrefix) && namingAuthenticators(config).some(hasPrefix);
}

/** Makes the words of a command for another name. */
type WordsFor = (name: string) => readonly string[];

/**
 * Refuses a name by which a directory finds a user who has another one: to block it would stop no one. It accepts the name if an
 * authenticator could not check it, since a block must work while a directory is down.
 *
 * @throws UsageError with the command for each user who may be meant
 */
export function refuseOtherName(context: CommandContext, checked: NameCheck, wordsFor: WordsFor) {
  const { name, otherNames, unchecked } = checked;
  if (otherNames.length === 0 || unchecked.length > 0) return;
  const exact =
    helpdeskScript(context) === undefined
      ? 'if you mean a user of exactly this name, add --exact'
      : 'if you mean a user of exactly this name, ask an administrator, who can add --exact';
  throw new UsageError(
    `nothing was done: ${describeOtherNames(name, otherNames)}, and names are as Kubernetes sees them, so this would have no effect`,
    `${exact}. Otherwise, run:${listCommands(context, checked, wordsFor)}`,
  );
}

/** Prints a remark when a directory knows the user of a command by another name. */
export function remarkOtherName(context: CommandContext, checked: NameCheck, wordsFor: WordsFor) {
  const { name, otherNames } = checked;
  if (otherNames.length === 0) return;
  printRemark(
    context,
    `${describeOtherNames(name, otherNames)}: names are as Kubernetes sees them`,
    `to name that user, run:${listCommands(context, checked, wordsFor)}`,
  );
}

/** Prints that no user has the name of a command. The command was done in any case. @param groupFix what to run if it is a group */
export function remarkUnknown(context: CommandContext, name: string, groupFix = '') {
  const doubt = `no authenticator of this config knows user ${printable(name)}: was the name mistyped?`;
  printRemark(
    context,
    `${doubt} The command was run in any case`,
    `if so, run it again with the name that kubectl auth whoami shows the user, or that the log has as username${groupFix}`,
  );
}

/**
 * Prints a remark when it is in doubt whether a user has the name. The command was done in any case.
 *
 * @param groupFix what to run if the name is a group
 */
export function remarkDoubts(
  context: CommandContext,
  checked: NameCheck,
  wordsFor: WordsFor,
  groupFix?: string,
) {
  const { name, isUnknown, unchecked } = checked;
  remarkOtherName(context, checked, wordsFor);
  if (isUnknown) remarkUnknown(context, name, groupFix);
  if (unchecked.length === 0) return;
  printRemark(
    context,
    `the name ${printable(name)} was not checked: ${printable(unchecked.join(', '))}. The command was run in any case, and has no effect ` +
      'on the user if Kubernetes knows them by another name, such as with other capitals',
    'compare the name with username in the log',
  );
}

function describeOtherNames(name: string, otherNames: readonly string[]): string {
  return `${printable(name)} is ${otherNames.map(printable).join(' or ')}`;
}

function listCommands(
  context: CommandContext,
  { otherNames, isExact }: NameCheck,
  wordsFor: WordsFor,
): string {
  const exactOption = isExact ? ['--exact'] : [];
  return otherNames
    .map((otherName) => `\n  ${commandLine(context, [...wordsFor(otherName), ...exactOption])}`)
    .join('');
}

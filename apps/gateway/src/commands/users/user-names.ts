import { withTimeLimit } from '../../base/deadlines.ts';
import { printable } from '../../base/logging/printable.ts';
import { shellQuoted } from '../../base/shell-quoted.ts';
import type { AuthenticatorConfig, GatewayConfig, IdentityConfig } from '../../config/types.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import type { CommandContext } from '../context.ts';
import { columns, printRemark, UsageError } from '../output.ts';
import { helpdeskScript } from '../printed-commands.ts';
import { askEachInTime, lookUpLimit } from './ask-authenticators.ts';
import { type LookUpRow, shownAnswer, unavailable } from './look-up-row.ts';
import { lookUpUser } from './look-up-user.ts';
import { readTraces } from './user-traces.ts';

/** Returns the authenticators that give users their names: sessions have the names of others. */
export function namingAuthenticators({
  authenticators,
  login,
}: Pick<GatewayConfig, 'authenticators' | 'login'>) {
  return authenticators.filter(({ name }) => name !== login?.sessions);
}

/** Whether users of an authenticator can have a name, by its prefix. @param name as Kubernetes sees it */
export function canHaveName(
  { username: { prefix } }: Pick<AuthenticatorConfig, 'username'>,
  name: string,
): boolean {
  return name.startsWith(prefix) && name !== prefix;
}

interface Candidate {
  /** As Kubernetes may see it. */
  readonly name: string;
  /** The prefix that it begins with. */
  readonly prefix: string;
  /** It begins with no prefix of the config, so a command takes it with `--exact`. */
  readonly isExact: boolean;
}

/**
 * Finds the names that may be meant. Names are as Kubernetes sees them: if one begins with no prefix of the config, the prefix was most
 * likely forgotten, and a command would have no effect on the user who is meant.
 *
 * @returns the names that may be meant; undefined when it is right as it is
 * @throws UsageError when it is a prefix alone
 */
export function candidatesFor(
  kind: 'user' | 'group',
  name: string,
  authenticators: readonly Pick<IdentityConfig, 'username' | 'groups'>[],
  isExact = false,
): readonly Candidate[] | undefined {
  const allPrefixes = new Set(
    authenticators.map(
      (identity) => (kind === 'user' ? identity.username : identity.groups).prefix,
    ),
  );
  const prefixes = [...allPrefixes].filter((prefix) => prefix !== '');
  if (isExact || prefixes.length === 0) return undefined;
  const matchingPrefixes = prefixes.filter((prefix) => name.startsWith(prefix));
  if (matchingPrefixes.some((prefix) => name !== prefix)) return undefined;
  if (matchingPrefixes[0] !== undefined)
    throw new UsageError(
      `--${kind} is only a prefix`,
      `write --${kind} ${matchingPrefixes[0]}NAME`,
    );
  const inOtherCase = prefixes.filter((prefix) => hasPrefix(name, prefix));
  return [
    ...(inOtherCase.length > 0 ? inOtherCase : prefixes).map((prefix) => {
      return { name: prefix + withoutPrefix(name, prefix), prefix, isExact: false };
    }),
    ...(allPrefixes.has('') ? [{ name, prefix: '', isExact: true }] : []),
  ];
}

/** Returns a name without a prefix that it has in any case: `jane` of `CORP:jane`. */
function withoutPrefix(name: string, prefix: string): string {
  return hasPrefix(name, prefix) ? name.slice(prefix.length) : name;
}

const hasPrefix = (name: string, prefix: string): boolean =>
  name.toLowerCase().startsWith(prefix.toLowerCase());

interface NameOptions {
  readonly exact?: boolean;
  /** See `lookUpLimit`. */
  readonly wait?: number;
  /** True: names that no one knows who was asked are not listed. A block may be for a user whom a directory has deleted. */
  readonly mustExist?: boolean;
}

/** Refuses a name without its prefix, for commands that change something. @throws UsageError that lists the names that may be meant */
export async function requirePrefix(
  context: CommandContext,
  config: GatewayConfig,
  kind: 'user' | 'group',
  name: string,
  { exact: isExact = false, wait, mustExist = false }: NameOptions,
) {
  const candidates = candidatesFor(kind, name, namingAuthenticators(config), isExact);
  if (candidates === undefined) return;
  const [, namespace = 'NAMESPACE', account = 'NAME'] =
    /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? [];
  // An authenticator without a prefix can have such a name.
  const isOurs = candidates.some((candidate) => candidate.isExact);
  if (kind === 'user' && !isOurs && name.startsWith('system:serviceaccount:'))
    throw new UsageError(
      `nothing was done: ${printable(name)} is a service account, whose tokens kube-apiserver checks itself: it asks no gateway`,
      `remove its role bindings, or the account: kubectl delete serviceaccount -n ${shellQuoted(namespace)} ${shellQuoted(account)}`,
    );
  const limit = lookUpLimit(wait);
  const answers =
    kind === 'user' ? await askWhoKnows(context, config, name, candidates, limit) : [];
  const exact =
    candidates.some((candidate) => candidate.isExact) || helpdeskScript(context)
      ? ''
      : ', or add --exact if the name is right as it is';
  const shown = printable(name);
  const prefixes = candidates
    .filter((candidate) => !candidate.isExact)
    .map(({ prefix }) => printable(prefix));
  const possible = candidates.filter((candidate) => !mustExist || isPossible(candidate, answers));
  if (possible.length === 0)
    throw new UsageError(
      `nothing was done: no authenticator of this config knows a user ${shown}`,
      `check the name. If it is right, write it with its prefix: ${prefixes.join(' or ')}${exact}`,
    );
  const down = mustExist ? describeDown(answers) : '';
  throw new UsageError(
    `nothing was done: --${kind} ${shown} doesn't begin with a prefix of this config, and names are as Kubernetes sees them${down && `. Not asked: ${down}`}`,
    `write one of these${exact}:${listCandidates(context, kind, possible, answers)}`,
  );
}

interface FindOptions {
  /** Whether the name is right as it is. */
  readonly isExact?: boolean | undefined;
  /** Left out: blocks and lockouts are not looked at. */
  readonly redis?: ProbedRedis | undefined;
}

/**
 * Finds the user of a command that only shows something: the only name that an authenticator, a session, a block or a lockout has.
 *
 * @returns also what was not looked up, for `remarkFound`
 * @throws UsageError that lists the names that may be meant, and who knows them, when it is not one
 */
export async function findUser(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
  { isExact = false, redis }: FindOptions = {},
) {
  const allCandidates = candidatesFor('user', name, namingAuthenticators(config), isExact);
  if (allCandidates === undefined) return { name, isExact, doubt: '' };
  const answers =
    allCandidates.length === 1
      ? []
      : await askWhoKnows(context, config, name, allCandidates, lookUpLimit(), redis);
  const candidates = asKnown(allCandidates, answers);
  const matches =
    candidates.length === 1
      ? candidates
      : candidates.filter((candidate) => isKnown(candidate, answers));
  const [match, ...furtherMatches] = matches;
  if (match !== undefined && furtherMatches.length === 0) {
    return { name: match.name, isExact: match.isExact, doubt: describeDoubt(answers) };
  }
  const down = describeDown(answers);
  const unsure = down && `. But ${down} can't be asked, so the name might be right`;
  const problem =
    matches.length === 0
      ? `no authenticator of this config knows a user ${printable(name)}${unsure}`
      : `--user ${printable(name)} matches several users, since names are as Kubernetes sees them`;
  throw new UsageError(
    problem,
    `write one of these:${listCandidates(context, 'user', allCandidates, answers)}`,
  );
}

/** Names the authenticators that could not be asked, and why: `corp (down)`. */
function describeDown(answers: Answers): string {
  const down = answers.flatMap(({ authenticator, answer, reason, isOfUser }) =>
    answer === unavailable && !isOfUser ? printable(`${authenticator} (${reason})`) : [],
  );
  return [...new Set(down)].join(', ');
}

/** Whether there may be such a user: not if all who could have the name were asked, and don't know it. */
function isPossible({ name }: Candidate, answers: Answers): boolean {
  const itsAnswers = answers.filter(({ candidateName }) => candidateName === name);
  return (
    itsAnswers.length === 0 ||
    itsAnswers.some((answer) => answer.answer !== 'not known' || knows(answer))
  );
}

/** Says who did not look the user up. */
function describeDoubt(answers: Answers): string {
  const doubts = answers
    .filter(({ isOfUser }) => !isOfUser)
    .flatMap(({ authenticator, answer }) => {
      if (answer === unavailable) return `${authenticator} failed with an error`;
      return answer === "can't be looked up" ? `${authenticator} ${answer}` : [];
    });
  return doubts.length === 0 ? '' : ` (not looked up: ${[...new Set(doubts)].join(', ')})`;
}

/** Says which user a command is about, where that is not what was typed. */
export function remarkFound(context: CommandContext, typed: string, name: string, doubt: string) {
  if (name !== typed || doubt !== '')
    printRemark(context, `${printable(typed)} is ${printable(name)}${doubt}`);
}

/** `name`: the candidate, or the name by which the authenticator knows the user. */
type Answers = readonly (Pick<
  LookUpRow,
  'authenticator' | 'answer' | 'reason' | 'tokens' | 'isOfUser'
> & {
  readonly candidateName: string;
  readonly name: string;
})[];

/** Puts the names by which authenticators know a user in the place of what was typed: `corp:jane` of `corp:Jane`. */
function asKnown(candidates: readonly Candidate[], answers: Answers): readonly Candidate[] {
  return candidates.flatMap((candidate) => {
    const knownAnswers = answers.filter(
      ({ candidateName, answer }) => candidateName === candidate.name && answer === 'known',
    );
    const names = new Set(knownAnswers.map(({ name }) => name));
    return names.size === 0 ? [candidate] : [...names].map((name) => ({ ...candidate, name }));
  });
}

function isKnown({ name }: Candidate, answers: Answers): boolean {
  return answers.some((answer) => answer.name === name && knows(answer));
}

/**
 * Whether there is such a user. An authenticator that could not check this one user has found one: with too many groups, or several
 * entries.
 */
function knows({ answer, tokens, isOfUser = false }: Answers[number]): boolean {
  return answer === 'known' || answer === 'refused by policy' || (tokens ?? 0) > 0 || isOfUser;
}

/** Asks who knows a name without a prefix. */
async function askWhoKnows(
  context: CommandContext,
  config: GatewayConfig,
  username: string,
  candidates: readonly Candidate[],
  limit: number,
  redis?: ProbedRedis,
): Promise<Answers> {
  const names = candidates.map(({ name }) => name);
  const [answers, traces] = await Promise.all([
    askAuthenticators(context, config, username, limit),
    withTimeLimit(limit, 'late', () => readTraces(context, config, names, redis)).catch(() => []),
  ]);
  const traceAnswers = traces.map(({ where, ...trace }) => {
    return { ...trace, candidateName: trace.name, authenticator: where, tokens: null };
  });
  return [...answers, ...traceAnswers];
}

/** Asks all authenticators. It prints a remark for each that can't be made. */
function askAuthenticators(
  context: CommandContext,
  config: GatewayConfig,
  username: string,
  limit: number,
): Promise<Answers> {
  const observer = { onStep: () => undefined, onNames: () => undefined };
  const nameIn = ({ username: { prefix } }: AuthenticatorConfig) => withoutPrefix(username, prefix);
  const addPrefix = (config: AuthenticatorConfig) => config.username.prefix + nameIn(config);
  return askEachInTime<Answers[number]>(
    config,
    namingAuthenticators(config),
    limit,
    async (created) => {
      const typedName = nameIn(created.config);
      const row = await lookUpUser(context, config, created, typedName, observer, limit);
      const candidateName = addPrefix(created.config);
      return { ...row, candidateName, name: row.answer === 'known' ? row.reason : candidateName };
    },
    (authenticator, { reason: problem, isOfUser, isNotMade }) => {
      if (isNotMade) printRemark(context, printable(problem));
      const reason = isNotMade ? "it can't be made" : problem;
      const name = addPrefix(authenticator);
      const answer = { authenticator: authenticator.name, answer: unavailable, reason } as const;
      return { ...answer, isOfUser, tokens: null, candidateName: name, name };
    },
  );
}

/** Lists names to paste, known names first; what is after `#` is a comment for a shell. */
function listCandidates(
  context: CommandContext,
  kind: 'user' | 'group',
  candidates: readonly Candidate[],
  answers: Answers,
): string {
  const sorted = asKnown(candidates, answers).toSorted(
    (a, b) => Number(isKnown(b, answers)) - Number(isKnown(a, answers)),
  );
  const isHelpdesk = helpdeskScript(context) !== undefined;
  const rows = sorted.map(({ name, isExact }) => {
    const word = printable(shellQuoted(name));
    const wordings = answers.filter((answer) => answer.name === name).map(describeAnswer);
    const advice = isHelpdesk && isExact && 'An administrator can name this user, with --exact';
    const remarks = [wordings.join(', '), advice].filter(Boolean);
    // The script for the helpdesk takes a name, and no option.
    const option = isHelpdesk ? word : `--${kind} ${word}${isExact ? ' --exact' : ''}`;
    return [option, ...(remarks.length > 0 ? [`# ${remarks.join('. ')}`] : [])];
  });
  return `\n${columns(rows)}`.replaceAll('\n', '\n  ');
}

function describeAnswer(answer: Answers[number]): string {
  if (answer.isOfUser)
    return `${shownAnswer(answer.answer)} for this user: ${answer.authenticator} (${printable(answer.reason)})`;
  return `${knows(answer) ? 'known' : shownAnswer(answer.answer)}: ${answer.authenticator}`;
}

import { printable } from '../../base/logging/printable.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { type Entry, shortDigest } from '../../engine/revocation/list.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { type CreatedAuthenticator, issuesTokens } from '../../runtime/authenticators.ts';
import { unblockWords } from '../blocks/block.ts';
import { lockoutLines } from '../blocks/lockouts.ts';
import { entryJson } from '../blocks/report.ts';
import { askEach } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import { type SeenToken, setUpIssuer, toJson } from '../issuer.ts';
import type { ReadOptions } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printTable, UsageError } from '../output.ts';
import { commandLine } from '../printed-commands.ts';
import { momentText } from '../times.ts';
import { type LookUpRow, shownAnswer, unavailable } from '../users/look-up-row.ts';
import { lookUpUser } from '../users/look-up-user.ts';
import { lockoutJson } from '../users/named-lockouts.ts';
import { readUserFacts, type TrailLine, type UserFacts } from '../users/user-facts.ts';
import { canHaveName, findUser, namingAuthenticators, remarkFound } from '../users/user-names.ts';
import { cachedJson, cachedLines, readCachedAnswers } from './cached-of-user.ts';
import { createTrace, describeSource, type ExplainTrace, printTrace } from './explain-trace.ts';
import {
  type FactorsOfUser,
  factorLines,
  factorsJson,
  lackingLines,
  readFactors,
  withKnownState,
} from './factors-of-user.ts';

type UserOptions = ReadOptions & { readonly exact?: boolean };

/**
 * Shows what is known of a user without a token: which authenticators know the name, with which groups; and what keeps
 * them out or lets them in: the account, blocks, lockouts, sessions, tokens, and the last lines of the audit trail.
 */
export async function explainUser(
  context: CommandContext,
  config: GatewayConfig,
  typedName: string,
  options: UserOptions,
  redis?: ProbedRedis,
): Promise<ExitCode> {
  const match = await findUser(context, config, typedName, { isExact: options.exact, redis });
  const { isExact } = match;
  const { name, lookUps, trace } = await lookUpByAnyName(context, config, match.name);
  remarkFound(context, typedName, name, match.doubt);
  const groups = trace.report.groups.flatMap(({ final }) => final);
  const accounts = trace.report.groups.flatMap(({ directory, username }) =>
    directory === undefined ? [] : [username],
  );
  const digests = lookUps.flatMap(({ issued }) => issued?.digests ?? []);
  const { facts, sealedElsewhere, revocations } = await readUserFacts(
    context,
    config,
    { name, groups, digests, accounts },
    redis,
  );
  const rows = [...lookUps, ...sessionRow(config, name, facts)];
  const orderedRows = config.authenticators.flatMap((a) =>
    rows.filter(({ authenticator }) => authenticator === a.name),
  );
  const cachedAnswers = await readCachedAnswers(
    context,
    config,
    name,
    lookUps,
    { revocations, sessions: facts.sessions },
    redis,
  );
  const factors = await readFactors(context, config, name);
  if (options.output === 'json') {
    const authenticators = orderedRows.map(rowJson);
    printJson(context, {
      user: name,
      authenticators,
      ...trace.report,
      cached: cachedAnswers.map(cachedJson),
      ...userFactsJson(context, config, facts, factors),
      sealedElsewhere,
    });
  } else {
    print(context, config, orderedRows, trace);
    const lines = [
      ...accountLines(orderedRows),
      ...loginLines(orderedRows),
      ...factorLines(context, name, factors, isExact),
      ...cachedLines(name, cachedAnswers, lookUps),
      ...userFactLines(context, config, name, facts, isExact),
      ...('value' in facts.sessions ? lackingLines(factors, facts.sessions.value ?? []) : []),
      ...sealedLines(context, sealedElsewhere),
    ];
    context.stdout.write(
      `\n${[...lines, ...tokenLines(context, config, name, orderedRows)].map(printable).join('\n')}\n`,
    );
    printTrail(context, facts);
  }
  if (orderedRows.some(({ answer }) => answer === unavailable)) return exitCodes.failure;
  const isKnown = orderedRows.some(({ answer, tokens }) => answer === 'known' || (tokens ?? 0) > 0);
  return isKnown ? exitCodes.success : exitCodes.negative;
}

/**
 * Looks up a user by the name that was typed. If a directory finds a user of another name, such as `jane` for `Jane`, it looks up that
 * name: blocks, lockouts and sessions have the name in Kubernetes.
 */
async function lookUpByAnyName(context: CommandContext, config: GatewayConfig, typed: string) {
  const trace = createTrace(config);
  const lookUps = await lookUpAll(context, config, typed, trace);
  const names = new Set(
    lookUps.flatMap(({ answer, reason }) => (answer === 'known' ? [reason] : [])),
  );
  const [username, ...furtherNames] = names;
  if (username === undefined || names.has(typed)) return { name: typed, lookUps, trace };
  if (furtherNames.length > 0) {
    throw new UsageError(
      `${printable(typed)} matches several users`,
      `write one of: ${[...names].map(printable).join(', ')}`,
    );
  }
  const secondTrace = createTrace(config);
  return {
    name: username,
    lookUps: await lookUpAll(context, config, username, secondTrace),
    trace: secondTrace,
  };
}

async function lookUpAll(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
  trace: ExplainTrace,
): Promise<readonly LookUpRow[]> {
  const candidates = namingAuthenticators(config).filter((a) => canHaveName(a, name));
  const logger = await context.createLogger('error');
  const lookUp = (created: CreatedAuthenticator) =>
    lookUpUser(context, config, created, name.slice(created.config.username.prefix.length), trace);
  return askEach(
    { ...config, authenticators: candidates },
    logger,
    lookUp,
    ({ name: authenticator }, reason) => {
      return { authenticator, answer: unavailable, reason, tokens: null, account: null };
    },
  );
}

/**
 * Makes the row of the authenticator of sessions. A session has the name of its user as Kubernetes sees it, which was checked at the login.
 */
function sessionRow(
  { login }: GatewayConfig,
  name: string,
  { sessions }: UserFacts,
): readonly LookUpRow[] {
  if (login === undefined) return [];
  const row = { authenticator: login.sessions, tokens: null, account: null };
  if ('problem' in sessions) return [{ ...row, answer: unavailable, reason: sessions.problem }];
  const tokens = sessions.value?.length ?? 0;
  return [
    {
      ...row,
      tokens,
      ...(tokens > 0 ? { answer: 'known', reason: name } : { answer: 'not known', reason: '' }),
    },
  ];
}

function rowJson(row: LookUpRow): object {
  const { authenticator, answer, reason, tokens, account, issued, directory } = row;
  const { isNotForLogins = false } = row;
  const endedTokens = issued && { revoked: issued.revoked, expired: issued.expired };
  return { authenticator, answer, reason, tokens, account, directory, endedTokens, isNotForLogins };
}

/** A fact that can't be read is null, and has its reason in `unread`. */
function userFactsJson(
  context: CommandContext,
  { login }: GatewayConfig,
  facts: UserFacts,
  factors: FactorsOfUser,
): object {
  const { blocks, blockedTokens, lockouts, sessions, audit } = facts;
  const list = 'value' in sessions ? sessions.value : undefined;
  const [newest] = list ?? [];
  const readings = { ...facts, ...(factors && { secondFactors: factors }) };
  const problems = Object.entries(readings).flatMap(([factName, reading]) =>
    'problem' in reading ? [[factName, reading.problem]] : [],
  );
  return {
    blocked: 'value' in blocks && blocks.value[0] !== undefined ? entryJson(blocks.value[0]) : null,
    blocks: 'value' in blocks ? blocks.value.map(entryJson) : null,
    blockedTokens: 'value' in blockedTokens ? blockedTokens.value.map(entryJson) : null,
    lockouts: 'value' in lockouts ? lockouts.value.map(lockoutJson) : null,
    secondFactors: factorsJson(context, factors),
    sessions: list
      ? {
          count: list.length,
          ...(newest && {
            newest: toJson(withKnownState(factors, newest), login?.sessions ?? ''),
          }),
        }
      : null,
    audit: 'value' in audit ? audit.value.lines : null,
    unread: Object.fromEntries(problems),
  };
}

function print(
  context: CommandContext,
  config: GatewayConfig,
  lookUps: readonly LookUpRow[],
  trace: ExplainTrace,
): void {
  const rows = lookUps.map(({ authenticator, answer, reason, tokens }) => {
    return [authenticator, shownAnswer(answer), tokens === null ? '' : String(tokens), reason];
  });
  printTable(context, ['AUTHENTICATOR', 'ANSWER', 'TOKENS', 'REASON'], rows);
  printTrace(context, config, trace);
}

function accountLines(lookUps: readonly LookUpRow[]): readonly string[] {
  return lookUps.flatMap(({ authenticator, directory, account }) => {
    if (account === null) return [];
    const state = account === 'good' ? 'nothing known against the user' : account;
    return [`account in ${describeSource(authenticator, directory)}: ${state}`];
  });
}

/** Names each authenticator that knows the user, and that the login server does not ask. */
function loginLines(lookUps: readonly LookUpRow[]): readonly string[] {
  return lookUps
    .filter(({ answer, isNotForLogins }) => isNotForLogins && answer !== 'not known')
    .map(
      ({ authenticator }) =>
        `${authenticator} is not in login.authenticators: its users can't log in with kubectl sallyport`,
    );
}

/** Describes blocks, lockouts and sessions, with the commands that change them. */
function userFactLines(
  context: CommandContext,
  { login }: GatewayConfig,
  name: string,
  { blocks, blockedTokens, lockouts, sessions }: UserFacts,
  isExact: boolean,
): readonly string[] {
  const lines: string[] = [];
  const problemLine = createProblemLines();
  if ('problem' in blocks) lines.push(problemLine('blocked', blocks.problem));
  else if (blocks.value.length === 0) lines.push('not blocked');
  else lines.push(...blocks.value.map((block) => blockLine(context, block, isExact)));
  if ('value' in blockedTokens)
    lines.push(...blockedTokens.value.map((block) => blockLine(context, block, isExact)));
  if ('problem' in lockouts) lines.push(problemLine('locked out', lockouts.problem));
  else if (lockouts.value.length === 0) lines.push('not locked out');
  else lines.push(...lockoutLines(context, lockouts.value, isExact));
  if ('problem' in sessions) lines.push(problemLine('sessions', sessions.problem));
  else if (login !== undefined)
    lines.push(sessionLine(context, name, login.sessions, sessions.value ?? [], isExact));
  return lines;
}

/** Makes lines about facts that can't be read. One Redis that is down may keep several from being read: its error is printed once. */
function createProblemLines() {
  const printedProblems = new Set<string>();
  return (subject: string, problem: string): string => {
    const reason = printedProblems.has(problem) ? 'for the same reason' : `since ${problem}`;
    printedProblems.add(problem);
    return `${subject}: not known, ${reason}`;
  };
}

function blockLine(context: CommandContext, entry: Entry, isExact: boolean): string {
  const { kind, name, until, by: author, reason } = entry;
  const isToken = kind === 'token';
  const shown = isToken ? shortDigest(name) : name;
  const command = unblockWords(entry, isExact && !isToken);
  const authorAndReason = reason === undefined ? author : `${author}: ${reason}`;
  const subject = isToken
    ? `1 of the user's tokens is blocked: ${shown},`
    : `blocked as ${kind} ${shown}`;
  return `${subject} until ${momentText(until)}, by ${authorAndReason}. To end that now: ${commandLine(context, command)}`;
}

function sessionLine(
  context: CommandContext,
  name: string,
  authenticator: string,
  sessions: readonly SeenToken[],
  isExact: boolean,
): string {
  const [newest] = sessions;
  if (newest?.session === undefined) return 'no sessions';
  const { since, device, address, cluster, provider } = newest.session;
  const { lastUsedAt } = newest.issued;
  const place = [
    `since ${momentText(since)}`,
    ...(provider === undefined ? [] : [`by provider ${provider.name}`]),
    ...(device === undefined ? [] : [`on ${device}`]),
    `from ${address}`,
    ...(cluster === undefined ? [] : [`for cluster ${cluster}`]),
    ...(lastUsedAt ? [`last used ${momentText(lastUsedAt.getTime())}`] : []),
  ].join(', ');
  const exactArgs = isExact ? ['--exact'] : [];
  const revokeOptions = ['--user', name, '--authenticator', authenticator, ...exactArgs];
  const revoke = commandLine(context, ['revoke', ...revokeOptions]);
  const count = sessions.length === 1 ? '1 session' : `${sessions.length} sessions, the newest`;
  return `${count} ${place}. To end ${sessions.length === 1 ? 'it' : 'them'}: ${revoke}`;
}

/** Describes sessions whose key was removed, or of a gateway with other keys: replicas must share them. */
function sealedLines(context: CommandContext, count: number): readonly string[] {
  if (count === 0) return [];
  const [subject, pronoun] =
    count === 1 ? ['1 session was', 'it'] : [`${count} sessions were`, 'them'];
  const check = commandLine(context, ['check']);
  return [
    `${subject} sealed with other keys than cache.redis.sealingKeys of this config, so a gateway with this config refuses ${pronoun}. ` +
      `If those keys were removed, the user must log in again. Otherwise, find the gateway with other keys: ${check}`,
  ];
}

function tokenLines(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
  lookUps: readonly LookUpRow[],
): readonly string[] {
  const issuers = config.authenticators.filter(issuesTokens);
  return lookUps.flatMap(({ authenticator, tokens, issued }) => {
    const issuer = issuers.find((a) => a.name === authenticator);
    if (issuer === undefined || issued === undefined) return [];
    const ended = (['revoked', 'expired'] as const).flatMap((state) =>
      issued[state] > 0 ? `${issued[state]} ${state}` : [],
    );
    if (tokens === 0 && ended.length === 0) return [];
    const { toPaste } = setUpIssuer(context, config, issuer);
    const valid = `${tokens} valid ${tokens === 1 ? 'token' : 'tokens'} of ${authenticator}`;
    return [
      `${[valid, ...ended].join(', ')}. To list all: ${toPaste('token', 'list', '--user', name)}`,
    ];
  });
}

function printTrail(context: CommandContext, { audit }: UserFacts): void {
  if ('problem' in audit) {
    context.stdout.write(`audit trail: not read, since ${printable(audit.problem)}\n`);
    return;
  }
  const { lines, isPartial } = audit.value;
  if (lines.length === 0) {
    context.stdout.write(
      `audit trail: no line of this user${isPartial ? ' in the part that was read' : ''}\n`,
    );
    return;
  }
  context.stdout.write('\nLAST LINES OF THE AUDIT TRAIL\n');
  printTable(
    context,
    ['TIME', 'EVENT', 'RESULT', 'REASON', 'AUTHENTICATOR', 'BY'],
    lines.map(trailRow),
  );
}

function trailRow(line: TrailLine): readonly string[] {
  const {
    time = '',
    event = 'review',
    outcome = '',
    reason = '',
    authenticator = '',
    device,
    address,
    caller,
  } = line;
  const author =
    line.by ?? [device, address, caller].filter((text) => text !== undefined).join(', ');
  return [time, event, outcome, reason, authenticator, author];
}

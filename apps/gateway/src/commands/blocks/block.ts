import { printable } from '../../base/logging/printable.ts';
import { FixableError, nearest } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import {
  type Entry,
  selectBlocks,
  selectCurrentEntries,
  shortDigest,
} from '../../engine/revocation/list.ts';
import { type Listing, readListing } from '../../engine/revocation/redis-list.ts';
import { completeDigest } from '../complete-digest.ts';
import { loadNamedConfig } from '../config-file.ts';
import { needCacheRedis, remarkMissingList, withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import { jtiText, type ReadOptions } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printRemark, printTable } from '../output.ts';
import { commandLine } from '../printed-commands.ts';
import { momentText, optionDuration, roundedDuration } from '../times.ts';
import { checkName, refuseOtherName, remarkDoubts, remarkOtherName } from '../users/name-check.ts';
import { type EntryOptions, nameSubject, planEntry } from '../users/subject.ts';
import { namingAuthenticators } from '../users/user-names.ts';
import { describeDroppedGroup } from './dropped-group.ts';
import { unreadableRemark } from './remarks.ts';
import { entryJson, mayStillBeRefused, mayStillPass, publishEntry, report } from './report.ts';
import {
  explainWithoutRedis,
  listRemainingWays,
  type MissedEffect,
  nameOptions,
} from './without-redis.ts';

const blockable = ['user', 'group', 'token', 'jti', 'sid'] as const;

/** What a block of this kind refuses, and what it does not. */
const scopes: Readonly<Partial<Record<Entry['kind'], readonly [scope: string, gap?: string]>>> = {
  group: ['all its members are refused'],
  jti: [
    'every token with this jti is refused',
    'A client that can refresh its session gets a token with another jti. To refuse that one too, block the sid or the user.\n',
  ],
  sid: [
    'every token of this session is refused',
    'A new login is another session. To refuse that one too, block the user.\n',
  ],
};

type BlockSubject = Pick<Entry, 'kind' | 'name'>;

interface BlockOptions extends EntryOptions {
  /** Milliseconds. */
  readonly for: number;
}

/** Refuses a user, a group or a token for a time, whatever any backend says. */
export function block(context: CommandContext, options: BlockOptions): Promise<ExitCode> {
  const subject = nameOptions(options);
  const effect: MissedEffect = {
    undone: `${subject} is not blocked: nothing was written`,
    doubtful: `${subject} might not be blocked`,
    ways: listRemainingWays(context, options),
  };
  return explainWithoutRedis(context, options, effect, () => blockSubject(context, options));
}

async function blockSubject(context: CommandContext, options: BlockOptions): Promise<ExitCode> {
  const { config, draft } = await planEntry(context, options, 'block', blockable);
  const checked =
    draft.kind === 'user' ? await checkName(context, config, draft.name, options.wait) : undefined;
  const { for: length, reason } = options;
  const reasonArgs = reason === undefined ? [] : ['--reason', reason];
  const blockArgs = ['--for', optionDuration(length), ...reasonArgs];
  const wordsFor = (name: string) => ['block', '--user', name, ...blockArgs];
  if (checked && options.exact !== true) refuseOtherName(context, checked, wordsFor);
  let replaced: Entry | undefined;
  const publication = await publishEntry(context, config, options, (listing) => {
    replaced = findBlock(selectBlocks(listing), draft);
    return { ...draft, until: listing.now + length };
  });
  const droppedGroup =
    draft.kind === 'group'
      ? describeDroppedGroup(context, namingAuthenticators(config), draft.name)
      : undefined;
  const text = blockText(context, publication.entry, replaced, options, droppedGroup !== undefined);
  const code = report(context, publication, options.output, text, (json) => ({
    ...json,
    ...(replaced && { before: entryJson(replaced) }),
  }));
  if (checked) {
    const exactArgs = options.exact === true ? ['--exact'] : [];
    const groupWords = ['block', '--group', draft.name, ...blockArgs, ...exactArgs];
    const groupCommand = commandLine(context, groupWords);
    remarkDoubts(context, checked, wordsFor, `. If it is a group, run: ${groupCommand}`);
  }
  if (droppedGroup) printRemark(context, droppedGroup.message, droppedGroup.fix);
  if (draft.kind === 'group') await remarkUser(context, config, draft.name, options, wordsFor);
  return code;
}

/** Prints a remark when the name of a blocked group is a user, who is not refused. */
async function remarkUser(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
  { wait }: BlockOptions,
  wordsFor: (name: string) => readonly string[],
): Promise<void> {
  if (!(await checkName(context, config, name, wait)).isKnown) return;
  const command = commandLine(context, wordsFor(name));
  printRemark(
    context,
    `${printable(name)} is a user, and this blocks only a group of this name`,
    `to block the user, run: ${command}`,
  );
}

/** Returns the words of the command that ends a block. */
export function unblockWords({ kind, name }: BlockSubject, isExact = false): readonly string[] {
  const value = kind === 'jti' ? jtiText(name) : name;
  const subject = kind === 'token' ? ['--digest', shortDigest(name)] : [`--${kind}`, value];
  return ['unblock', ...subject, ...(isExact ? ['--exact'] : [])];
}

/** Returns what is printed before and after the line that says who has confirmed. */
function blockText(
  context: CommandContext,
  entry: Entry,
  replaced: Entry | undefined,
  options: EntryOptions,
  isDroppedGroup: boolean,
): [before: string, after: string] {
  const { kind, until } = entry;
  const [scope, gap = ''] = isDroppedGroup
    ? ['any user who had it would be refused']
    : (scopes[kind] ?? ['refused']);
  const words = unblockWords(entry, options.exact);
  return [
    `blocked ${nameSubject(entry)} until ${momentText(until)} (${optionDuration(until - entry.at)}): ${scope}, whatever a backend says.\n` +
      (replaced
        ? `It takes the place of the block until ${momentText(replaced.until)} by ${printable(replaced.by)}.\n`
        : ''),
    `${gap}${mayStillPass}To remove it early: ${commandLine(context, words)}\n`,
  ];
}

export function unblock(context: CommandContext, options: EntryOptions): Promise<ExitCode> {
  const subject = nameOptions(options);
  const effect: MissedEffect = {
    undone: `a block of ${subject} stays in force: nothing was written`,
    doubtful: `a block of ${subject} might stay in force`,
  };
  return explainWithoutRedis(context, options, effect, () => unblockSubject(context, options));
}

async function unblockSubject(context: CommandContext, options: EntryOptions): Promise<ExitCode> {
  const { config, draft } = await planEntry(context, options, 'unblock', [...blockable, 'digest']);
  try {
    const publication = await publishEntry(context, config, options, (listing) => {
      const { name, until } = findEndable(context, listing, draft);
      return { ...draft, name, until };
    });
    const text = `unblocked ${nameSubject(publication.entry)}: the backend decides again.\n`;
    return report(context, publication, options.output, [text, mayStillBeRefused]);
  } catch (error) {
    if (error instanceof NotBlocked && draft.kind === 'user') {
      const checked = await checkName(context, config, draft.name, options.wait);
      remarkOtherName(context, checked, (name) => ['unblock', '--user', name]);
    }
    throw error;
  }
}

/** No block of the subject is in force. */
class NotBlocked extends FixableError {}

/** Finds a block, or the entry that ended it: an unblock that not all replicas have confirmed can be repeated. @throws UsageError, Error */
export function findEndable(
  context: CommandContext,
  listing: Listing,
  { kind, name: typedName }: BlockSubject,
): Entry {
  const name = kind === 'token' ? findBlockedDigest(listing, typedName) : typedName;
  return findUnblock(listing, { kind, name }) ?? requireBlock(context, listing, { kind, name });
}

/** Completes the first digits of a digest that is blocked, or was until a block was ended. @throws UsageError when several are */
function findBlockedDigest(listing: Listing, digits: string): string {
  const [matching = []] = [selectBlocks(listing), selectEndedBlocks(listing)]
    .map((blocks) => blocks.filter(({ kind, name }) => kind === 'token' && name.startsWith(digits)))
    .filter(({ length }) => length > 0);
  const candidates = matching.map(
    (block) => [block.name, `by ${printable(block.by)}, ${momentText(block.at)}`] as const,
  );
  return completeDigest(digits, new Map(candidates)) ?? digits;
}

/** Finds the block of a subject among those in force. */
export function findBlock(
  blocks: readonly Entry[],
  { kind, name }: BlockSubject,
): Entry | undefined {
  return blocks.find((block) => block.kind === kind && block.name === name);
}

/** Finds the entry that ended a block before its time, until that time. */
export function findUnblock(
  listing: Pick<Listing, 'entries' | 'now'>,
  subject: BlockSubject,
): Entry | undefined {
  return findBlock(selectEndedBlocks(listing), subject);
}

function selectEndedBlocks({ entries, now }: Pick<Listing, 'entries' | 'now'>): readonly Entry[] {
  return selectCurrentEntries(entries).filter(
    ({ action, until }) => action === 'unblock' && until > now,
  );
}

export function requireBlock(
  context: CommandContext,
  listing: Listing,
  subject: BlockSubject,
): Entry {
  const blocks = selectBlocks(listing);
  const block = findBlock(blocks, subject);
  if (block !== undefined) return block;
  const names = blocks
    .filter(({ kind }) => kind === subject.kind && kind !== 'token')
    .map(({ name }) => name);
  const near = nearest(subject.name, names);
  const sameName = blocks.find(({ kind, name }) => kind !== subject.kind && name === subject.name);
  const guess = sameName ? `${sameName.kind} ${sameName.name}` : near && `${subject.kind} ${near}`;
  const unreadable = unreadableRemark(listing.unreadable);
  throw new NotBlocked(
    [`${nameSubject(subject)} is not blocked`, ...unreadable.map(({ message }) => message)].join(
      '. ',
    ),
    [
      ...unreadable.map(({ fix }) => fix),
      `${guess === undefined ? '' : `did you mean ${printable(guess)}? If not, `}list all blocks: ${commandLine(context, ['blocks'])}${subject.kind === 'token' ? '. If you gave its digest as the token, write --digest in place of --token' : ''}`,
    ].join('; or '),
  );
}

export function listBlocks(context: CommandContext, options: ReadOptions): Promise<ExitCode> {
  const effect: MissedEffect = {
    undone: "the list of blocks can't be read. Blocks that the gateways know stay in force",
  };
  return explainWithoutRedis(context, options, effect, () => printBlocks(context, options));
}

async function printBlocks(context: CommandContext, options: ReadOptions): Promise<ExitCode> {
  const config = await loadNamedConfig(context, options);
  needCacheRedis(config, 'blocks');
  const listing = await withCacheRedis(context, config, readListing);
  const blocks = selectBlocks(listing);
  if (options.output === 'json')
    printJson(context, { blocks: blocks.map(entryJson), unreadable: listing.unreadable.count });
  else {
    const rows = blocks.map((block) => [
      block.kind,
      block.kind === 'token' ? shortDigest(block.name) : block.name,
      momentText(block.until),
      roundedDuration(block.until - listing.now),
      block.by,
      momentText(block.at),
      block.reason ?? '',
    ]);
    printTable(
      context,
      ['KIND', 'NAME', 'UNTIL', 'REMAINING', 'BY', 'AT', 'REASON'],
      rows,
      'no one is blocked',
    );
  }
  remarkMissingList(context, config, listing);
  for (const { message, fix } of unreadableRemark(listing.unreadable))
    printRemark(context, message, fix);
  return exitCodes.success;
}

import { durationText } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import { FixableError, nearest } from '../../config/problems.ts';
import {
  type Entry,
  selectBlocks,
  selectCurrentEntries,
  shortDigest,
} from '../../engine/revocation/list.ts';
import { type Listing, readListing } from '../../engine/revocation/redis-list.ts';
import { loadNamedConfig } from '../config-file.ts';
import { needCacheRedis, remarkMissingList, withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import { digestLength, jtiText, type ReadOptions } from '../options.ts';
import {
  type ExitCode,
  exitCodes,
  printJson,
  printRemark,
  printTable,
  UsageError,
} from '../output.ts';
import { commandLine } from '../printed-commands.ts';
import { momentText, roundedDuration } from '../times.ts';
import { checkName, refuseOtherName, remarkDoubts, remarkOtherName } from '../users/name-check.ts';
import { type EntryOptions, nameSubject, prepare } from '../users/subject.ts';
import { unreadableRemark } from './remarks.ts';
import {
  entryJson,
  mayStillBeRefused,
  mayStillPass,
  publishWithInterrupt,
  report,
} from './report.ts';

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

type Named = Pick<Entry, 'kind' | 'name'>;

/** Refuses a user, a group or a token for a time (`for`, in milliseconds), whatever any backend says. */
export async function block(
  context: CommandContext,
  options: EntryOptions & { readonly for: number },
): Promise<ExitCode> {
  const { config, draft } = await prepare(context, options, 'block', blockable);
  const checked =
    draft.kind === 'user' ? await checkName(context, config, draft.name, options.wait) : undefined;
  const { for: length, reason } = options;
  const again = [
    '--for',
    durationText(length),
    ...(reason === undefined ? [] : ['--reason', reason]),
  ];
  const wordsFor = (name: string) => ['block', '--user', name, ...again];
  if (checked && options.exact !== true)
    refuseOtherName(context, checked, wordsFor, options.config);
  let before: Entry | undefined;
  const publication = await publishWithInterrupt(context, config, options, (listing) => {
    before = find(selectBlocks(listing), draft);
    return { ...draft, until: listing.now + length };
  });
  const text = blockText(context, publication.entry, before, options);
  const code = report(context, publication, options.output, text, (json) => ({
    ...json,
    ...(before && { before: entryJson(before) }),
  }));
  if (checked) remarkDoubts(context, checked, wordsFor, options.config);
  return code;
}

/** Returns the words of the command that ends a block. */
export function unblockWords({ kind, name }: Named, isExact = false): readonly string[] {
  const value = kind === 'jti' ? jtiText(name) : name;
  const subject = kind === 'token' ? ['--digest', shortDigest(name)] : [`--${kind}`, value];
  return ['unblock', ...subject, ...(isExact ? ['--exact'] : [])];
}

/** Returns what is printed before and after the line that says who has confirmed. */
function blockText(
  context: CommandContext,
  entry: Entry,
  before: Entry | undefined,
  options: EntryOptions,
): [before: string, after: string] {
  const { kind, at, until } = entry;
  const [scope, gap = ''] = scopes[kind] ?? ['refused'];
  const words = unblockWords(entry, options.exact);
  return [
    `blocked ${nameSubject(entry)} until ${momentText(until)} (${durationText(until - at)}): ${scope}, whatever a backend says.\n` +
      (before
        ? `It takes the place of the block until ${momentText(before.until)} by ${printable(before.by)}.\n`
        : ''),
    `${gap}${mayStillPass}To remove it early: ${commandLine(context, words, options.config)}\n`,
  ];
}

export async function unblock(context: CommandContext, options: EntryOptions): Promise<ExitCode> {
  const { config, draft } = await prepare(context, options, 'unblock', [...blockable, 'digest']);
  try {
    const publication = await publishWithInterrupt(context, config, options, (listing) => {
      const { name, until } = findEndable(context, listing, draft, options.config);
      return { ...draft, name, until };
    });
    const text = `unblocked ${nameSubject(publication.entry)}: the backend decides again.\n`;
    return report(context, publication, options.output, [text, mayStillBeRefused]);
  } catch (error) {
    if (error instanceof NotBlocked && draft.kind === 'user') {
      const wordsFor = (name: string) => ['unblock', '--user', name];
      remarkOtherName(
        context,
        await checkName(context, config, draft.name, options.wait),
        wordsFor,
        options.config,
      );
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
  { kind, name: given }: Named,
  config?: string,
): Entry {
  const name =
    kind === 'token' ? completeDigest(given, [selectBlocks(listing), endedBlocks(listing)]) : given;
  return (
    findUnblock(listing, { kind, name }) ?? requireBlock(context, listing, { kind, name }, config)
  );
}

/** Completes a digest. @param digits the whole digest, or its beginning. @throws UsageError when several blocks begin with it */
function completeDigest(digits: string, lists: readonly (readonly Entry[])[]): string {
  if (digits.length === digestLength) return digits;
  const matching = lists.map((list) =>
    list.filter(({ kind, name }) => kind === 'token' && name.startsWith(digits)),
  );
  const [first, ...others] = matching.find(({ length }) => length > 0) ?? [];
  if (first === undefined || others.length === 0) return first?.name ?? digits;
  const lines = [first, ...others].map(
    ({ name, by, at }) => `\n  ${name}  by ${printable(by)}, ${momentText(at)}`,
  );
  throw new UsageError(
    `--digest ${digits} is the beginning of several digests`,
    `give more digits of one of these:${lines.join('')}`,
  );
}

function find(blocks: readonly Entry[], { kind, name }: Named): Entry | undefined {
  return blocks.find((one) => one.kind === kind && one.name === name);
}

/** Finds the entry that ended a block before its time, until that time. */
export function findUnblock(
  listing: Pick<Listing, 'entries' | 'now'>,
  named: Named,
): Entry | undefined {
  return find(endedBlocks(listing), named);
}

function endedBlocks({ entries, now }: Pick<Listing, 'entries' | 'now'>): readonly Entry[] {
  return selectCurrentEntries(entries).filter(
    ({ action, until }) => action === 'unblock' && until > now,
  );
}

export function requireBlock(
  context: CommandContext,
  listing: Listing,
  subject: Named,
  config?: string,
): Entry {
  const blocks = selectBlocks(listing);
  const found = find(blocks, subject);
  if (found !== undefined) return found;
  const names = blocks
    .filter(({ kind }) => kind === subject.kind && kind !== 'token')
    .map(({ name }) => name);
  const near = nearest(subject.name, names);
  const other = blocks.find(({ kind, name }) => kind !== subject.kind && name === subject.name);
  const guess = other ? `${other.kind} ${other.name}` : near && `${subject.kind} ${near}`;
  const unreadable = unreadableRemark(listing.unreadable);
  throw new NotBlocked(
    [`${nameSubject(subject)} is not blocked`, ...unreadable.map(({ message }) => message)].join(
      '. ',
    ),
    [
      ...unreadable.map(({ fix }) => fix),
      `${guess === undefined ? '' : `did you mean ${printable(guess)}? If not, `}list all blocks: ${commandLine(context, ['blocks'], config)}`,
    ].join('; or '),
  );
}

export async function listBlocks(context: CommandContext, options: ReadOptions): Promise<ExitCode> {
  const config = await loadNamedConfig(context, options);
  needCacheRedis(config, 'blocks');
  const listing = await withCacheRedis(context, config, readListing);
  const blocks = selectBlocks(listing);
  if (options.output === 'json')
    printJson(context, { blocks: blocks.map(entryJson), unreadable: listing.unreadable.count });
  else {
    const rows = blocks.map(({ kind, name, at, until, by, reason = '' }) => {
      const shown = kind === 'token' ? shortDigest(name) : name;
      return [
        kind,
        shown,
        momentText(until),
        roundedDuration(until - listing.now),
        by,
        momentText(at),
        reason,
      ];
    });
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

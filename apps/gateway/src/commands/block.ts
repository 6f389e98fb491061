import { nearest } from '../config/problems.ts';
import { printable } from '../logging/printable.ts';
import type { Publication } from '../revocation/confirmation.ts';
import { blocksIn, type Entry } from '../revocation/list.ts';
import { type Listing, readListing } from '../revocation/redis-list.ts';
import { needCacheRedis, withCacheRedis } from './cache-redis.ts';
import { commandLine } from './command-line.ts';
import { loadNamedConfig } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { jtiText } from './options.ts';
import { type OutputFormat, printJson, printRemark, printTable, shortDigest } from './output.ts';
import {
  confirmationLine,
  entryJson,
  mayStillBeRefused,
  mayStillPass,
  publish,
  report,
  unreadableRemark,
} from './report.ts';
import { type EntryOptions, nameSubject, prepare } from './subject.ts';
import { humanDuration, momentText } from './times.ts';

export interface BlockOptions extends EntryOptions {
  /** Milliseconds. */
  readonly for: number;
}

const blockable = ['user', 'group', 'token', 'jti', 'sid'] as const;

/** What a block of this kind does not refuse. */
const gaps: Readonly<Partial<Record<Entry['kind'], string>>> = {
  jti: 'A client that can refresh its session gets a token with another jti. To refuse that one too, block the sid or the user.\n',
  sid: 'A new login is another session. To refuse that one too, block the user.\n',
};

/** What a block of this kind refuses. */
const scopes: Readonly<Partial<Record<Entry['kind'], string>>> = {
  group: 'all its members are refused',
  jti: 'every token with this jti is refused',
  sid: 'every token of this session is refused',
};

type Named = Pick<Entry, 'kind' | 'name'>;

/** Refuses a user, a group or a token for a time, whatever any backend says. */
export async function block(options: BlockOptions): Promise<ExitCode> {
  const { config, record } = await prepare(options, 'block', blockable);
  return withCacheRedis(config, async (redis) => {
    let before: Entry | undefined;
    const publication = await publish(
      redis,
      (listing) => {
        before = find(blocksIn(listing), record);
        return { ...record, action: 'block', until: listing.now + options.for };
      },
      options.wait,
    );
    const text = blockText(publication, before, options);
    return report(publication, options.output, text, before && { before: entryJson(before) });
  });
}

function blockText({ entry, confirmation }: Publication, before: Entry | undefined, options: BlockOptions): string {
  const { kind, name, at, until } = entry;
  const scope = scopes[kind] ?? 'refused';
  const value = kind === 'jti' ? jtiText(name) : name;
  const words = ['unblock', `--${kind}`, ...(kind === 'token' ? [] : [value]), ...(options.exact ? ['--exact'] : [])];
  return (
    `blocked ${nameSubject(entry)} until ${momentText(until)} (${humanDuration(until - at)}): ${scope}, whatever a backend says.\n` +
    (before ? `It takes the place of the block until ${momentText(before.until)} by ${printable(before.by)}.\n` : '') +
    confirmationLine(confirmation) +
    (gaps[kind] ?? '') +
    mayStillPass +
    `To end it before its time: ${commandLine(words, options.config)}\n`
  );
}

/** Ends a block before its time. */
export async function unblock(options: EntryOptions): Promise<ExitCode> {
  const { config, record } = await prepare(options, 'unblock', blockable);
  return withCacheRedis(config, async (redis) => {
    const publication = await publish(
      redis,
      (listing) => ({ ...record, action: 'unblock', until: requireBlock(listing, record, options.config).until }),
      options.wait,
    );
    const text = `unblocked ${nameSubject(record)}: the backend decides again.\n${confirmationLine(publication.confirmation)}${mayStillBeRefused}`;
    return report(publication, options.output, text);
  });
}

function find(blocks: readonly Entry[], { kind, name }: Named): Entry | undefined {
  return blocks.find((one) => one.kind === kind && one.name === name);
}

/** @throws Error when there is none */
export function requireBlock(listing: Listing, subject: Named, config?: string): Entry {
  const blocks = blocksIn(listing);
  const found = find(blocks, subject);
  if (found !== undefined) return found;
  const names = blocks.filter(({ kind }) => kind === subject.kind && kind !== 'token').map(({ name }) => name);
  const near = nearest(subject.name, names);
  const other = blocks.find(({ kind, name }) => kind !== subject.kind && name === subject.name);
  const guess = other ? `${other.kind} ${other.name}` : near && `${subject.kind} ${near}`;
  throw new Error(
    [
      `${nameSubject(subject)} is not blocked.`,
      ...(guess === undefined ? [] : [`Did you mean ${printable(guess)}?`]),
      ...unreadableRemark(listing.unreadable).map((remark) => `${remark}.`),
      `To list all blocks: ${commandLine(['blocks'], config)}`,
    ].join(' '),
  );
}

export interface BlocksOptions {
  readonly config?: string;
  readonly output: OutputFormat;
}

/** Lists who is blocked. */
export async function listBlocks(options: BlocksOptions): Promise<ExitCode> {
  const config = await loadNamedConfig(options);
  needCacheRedis(config, 'blocks');
  const listing = await withCacheRedis(config, readListing);
  const blocks = blocksIn(listing);
  if (options.output === 'json') printJson({ blocks: blocks.map(entryJson), unreadable: listing.unreadable });
  else if (blocks.length === 0) printRemark('no one is blocked');
  else {
    const rows = blocks.map(({ kind, name, at, until, by, reason }) => [
      kind,
      kind === 'token' ? shortDigest(name) : name,
      momentText(until),
      humanDuration(until - listing.now),
      by,
      momentText(at),
      reason ?? '',
    ]);
    printTable(['KIND', 'NAME', 'UNTIL', 'REMAINING', 'BY', 'AT', 'REASON'], rows);
  }
  for (const remark of unreadableRemark(listing.unreadable)) printRemark(remark);
  return exitCodes.success;
}

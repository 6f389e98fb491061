import { nearest } from '../../config/nearest.ts';
import { printable } from '../../logging/printable.ts';
import { blocksIn } from '../../revocation/list.ts';
import type { Listing } from '../../revocation/redis-list.ts';
import type { Entry } from '../../revocation/types.ts';
import { commandLine } from '../command-line.ts';
import type { ExitCode } from '../exit-codes.ts';
import { printJson } from '../output.ts';
import { needCacheRedis, withCacheRedis } from './cache-redis.ts';
import {
  announcementJson,
  confirmationLine,
  exitCodeOf,
  mayStillBeRefused,
  remarks,
  tellRemarks,
  unreadableRemark,
} from './confirmation-report.ts';
import { announceWithPatience, prepare, type StoppingOptions } from './prepare.ts';
import { nameSubject } from './whom.ts';

/** Ends a block before its time. */
export async function unblock(options: StoppingOptions): Promise<ExitCode> {
  const { config, record, wait } = await prepare(options, 'unblock', ['user', 'group', 'token']);
  return withCacheRedis(needCacheRedis(config, 'unblock'), async (redis) => {
    const announcement = await announceWithPatience(
      redis,
      (listing) => {
        const { until } = findBlock(listing, record, options.config);
        return { ...record, action: 'unblock', until };
      },
      wait,
    );
    if (options.output === 'json') printJson(announcementJson(announcement));
    else {
      process.stdout.write(
        `unblocked ${nameSubject(record)}: what the backend says holds again.\n${confirmationLine(announcement.confirmation)}${mayStillBeRefused}`,
      );
    }
    tellRemarks(remarks(announcement));
    return exitCodeOf(announcement);
  });
}

/** @throws Error when there is none */
export function findBlock(listing: Listing, wanted: Pick<Entry, 'kind' | 'name'>, config?: string): Entry {
  const blocks = blocksIn(listing);
  const found = blocks.find(({ kind, name }) => kind === wanted.kind && name === wanted.name);
  if (found !== undefined) return found;
  const names = blocks.filter(({ kind }) => kind === wanted.kind && kind !== 'token').map(({ name }) => name);
  const near = nearest(wanted.name, names);
  const others = blocks.find(({ kind, name }) => kind !== wanted.kind && name === wanted.name);
  const guess = others ? `${others.kind} ${others.name}` : near && `${wanted.kind} ${near}`;
  throw new Error(
    [
      `${nameSubject(wanted)} is not blocked.`,
      ...(guess === undefined ? [] : [`Did you mean ${printable(guess)}?`]),
      ...unreadableRemark(listing.unreadable).map((remark) => `${remark}.`),
      `To list who is: ${commandLine(['blocks'], config)}`,
    ].join(' '),
  );
}

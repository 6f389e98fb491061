import { printable } from '../../logging/printable.ts';
import type { Publication } from '../../revocation/confirmation.ts';
import { blocksIn } from '../../revocation/list.ts';
import type { Entry } from '../../revocation/types.ts';
import { commandLine } from '../command-line.ts';
import type { ExitCode } from '../exit-codes.ts';
import { humanDuration } from '../human-duration.ts';
import { printJson } from '../output.ts';
import { needCacheRedis, withCacheRedis } from './cache-redis.ts';
import {
  announcementJson,
  confirmationLine,
  entryJson,
  exitCodeOf,
  mayStillPass,
  momentText,
  remarks,
  tellRemarks,
} from './confirmation-report.ts';
import { readFor } from './duration-option.ts';
import { announceWithPatience, prepare, type StoppingOptions } from './prepare.ts';
import { nameSubject } from './whom.ts';

export interface BlockOptions extends StoppingOptions {
  readonly for?: string;
}

/** Refuses a user, a group or a token for a time, whatever any backend says. */
export async function block(options: BlockOptions): Promise<ExitCode> {
  const length = readFor(options.for);
  const { config, record, wait } = await prepare(options, 'block', ['user', 'group', 'token']);
  return withCacheRedis(needCacheRedis(config, 'block'), async (redis) => {
    let before: Entry | undefined;
    const announcement = await announceWithPatience(
      redis,
      (listing) => {
        before = blocksIn(listing).find(({ kind, name }) => kind === record.kind && name === record.name);
        return { ...record, action: 'block', until: listing.now + length };
      },
      wait,
    );
    if (options.output === 'json') {
      printJson({ ...announcementJson(announcement), ...(before && { before: entryJson(before) }) });
    } else process.stdout.write(text(announcement, before, options));
    tellRemarks(remarks(announcement));
    return exitCodeOf(announcement);
  });
}

function text({ entry, confirmation }: Publication, before: Entry | undefined, options: BlockOptions): string {
  const { kind, name, at, until } = entry;
  const whose = kind === 'group' ? 'all who are in it are refused' : 'refused';
  const words = ['unblock', `--${kind}`, ...(kind === 'token' ? [] : [name]), ...(options.exact ? ['--exact'] : [])];
  return (
    `blocked ${nameSubject(entry)} until ${momentText(until)} (${humanDuration(until - at)}): ${whose}, whatever a backend says.\n` +
    (before ? `It takes the place of the block until ${momentText(before.until)} by ${printable(before.by)}.\n` : '') +
    confirmationLine(confirmation) +
    mayStillPass +
    `To end it before its time: ${commandLine(words, options.config)}\n`
  );
}

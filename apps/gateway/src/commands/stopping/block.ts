import { printable } from '../../logging/printable.ts';
import type { Announcement } from '../../revocation/announce.ts';
import { blocksIn } from '../../revocation/place-entry.ts';
import type { Entry } from '../../revocation/types.ts';
import type { ExitCode } from '../exit-codes.ts';
import { humanDuration } from '../human-duration.ts';
import { printJson } from '../output.ts';
import { shellQuoted } from '../shell-quoted.ts';
import { withCacheRedis } from './cache-redis.ts';
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
  const { place, record, wait } = await prepare(options, 'block', ['user', 'group', 'token']);
  return withCacheRedis(place, async (redis) => {
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
    } else process.stdout.write(text(announcement, before, options.config));
    tellRemarks(remarks(announcement));
    return exitCodeOf(announcement);
  });
}

function text({ entry, confirmation }: Announcement, before: Entry | undefined, config: string | undefined): string {
  const { kind, name, at, until } = entry;
  const whose = kind === 'group' ? 'all who are in it are refused' : 'refused';
  const words = [
    ...['sallyport', 'unblock', `--${kind}`, ...(kind === 'token' ? [] : [name])],
    ...(config === undefined ? [] : ['--config', config]),
  ];
  return (
    `blocked ${nameSubject(entry)} until ${momentText(until)} (${humanDuration(until - at)}): ${whose}, whatever a backend says.\n` +
    (before ? `It takes the place of the block until ${momentText(before.until)} by ${printable(before.by)}.\n` : '') +
    confirmationLine(confirmation) +
    mayStillPass +
    `To end it before its time: ${printable(words.map(shellQuoted).join(' '))}\n`
  );
}

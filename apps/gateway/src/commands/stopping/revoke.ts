import type { Announcement } from '../../revocation/announce.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { printJson } from '../output.ts';
import { shellQuoted } from '../shell-quoted.ts';
import { withCacheRedis } from './cache-redis.ts';
import {
  announcementJson,
  confirmationLine,
  exitCodeOf,
  mayStillPass,
  remarks,
  tellRemarks,
} from './confirmation-report.ts';
import { type IssuedOutcome, issuedLine, issuedRemarks, revokeIssued } from './issued-tokens.ts';
import { keptAtMost } from './kept-at-most.ts';
import { announceWithPatience, prepare, type StoppingOptions } from './prepare.ts';
import { nameSubject, type Subject } from './whom.ts';

/** Has all that is cached of a user or a token forgotten, and revokes what tokens were issued. */
export async function revoke(options: StoppingOptions): Promise<ExitCode> {
  const { config, place, subject, by, record, wait } = await prepare(options, 'revoke', ['user', 'token', 'all']);
  const isText = options.output === 'text';
  // Before the cache is told: else a gateway could ask, and keep the answer, in between.
  const { reason } = record;
  const issued = await revokeIssued(config, subject, { at: new Date(), by, ...(reason !== undefined && { reason }) });
  tellRemarks(issued.flatMap(issuedRemarks));
  if (isText) process.stdout.write(issued.map(issuedLine).join(''));
  let announcement: Announcement | undefined;
  try {
    announcement = await withCacheRedis(place, (redis) =>
      announceWithPatience(redis, ({ now }) => ({ ...record, action: 'revoke', until: now + keptAtMost }), wait),
    );
  } finally {
    // What was revoked until then is told in any case.
    if (!isText) printJson({ ...(announcement && announcementJson(announcement)), tokens: issued });
  }
  if (isText) process.stdout.write(text(announcement, subject));
  tellRemarks(remarks(announcement));
  return issued.every(isDone) ? exitCodeOf(announcement) : exitCodes.fault;
}

function isDone({ problem, unreadable }: IssuedOutcome): boolean {
  return problem === undefined && unreadable === 0;
}

function text({ confirmation }: Announcement, subject: Subject): string {
  const whom = nameSubject(subject);
  const command = `sallyport block --${subject.kind}${subject.kind === 'user' ? ` ${shellQuoted(subject.name)}` : ''}`;
  const more =
    subject.kind === 'all'
      ? 'No token was revoked: who has a good one, or a good password, gets in again.\n'
      : `Who gets in again is for the backend to say. What keeps somebody out is ${command} --for 8h\n`;
  return (
    `told the gateways to forget what they have cached of ${whom}: the next review asks the backend.\n` +
    confirmationLine(confirmation) +
    mayStillPass +
    more
  );
}

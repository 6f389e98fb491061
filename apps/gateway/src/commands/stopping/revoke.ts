import { causeOf } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import type { Publication } from '../../revocation/confirmation.ts';
import type { Entry } from '../../revocation/types.ts';
import { commandLine } from '../command-line.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { humanDuration } from '../human-duration.ts';
import { refuseEmpty } from '../token/empty-options.ts';
import { type Issuing, withIssuer } from '../token/issuing.ts';
import { cacheRedisOf, withCacheRedis } from './cache-redis.ts';
import {
  announcementJson,
  confirmationLine,
  exitCodeOf,
  mayStillPass,
  remarks,
  tellRemarks,
} from './confirmation-report.ts';
import { keptAtMost } from './kept-at-most.ts';
import { announceWithPatience, type Prepared, prepare, type StoppingOptions } from './prepare.ts';
import { createRevokeReport, type RevokeReport } from './revoke-report.ts';
import { completeDigest, issuersOf, selectionOf } from './which-tokens.ts';
import { nameSubject, type Subject } from './whom.ts';

export interface RevokeOptions extends StoppingOptions {
  readonly authenticator?: string;
}

/** Revokes issued tokens for good, and has every replica forget what it has cached. */
export async function revoke(options: RevokeOptions): Promise<ExitCode> {
  refuseEmpty({ '--authenticator': options.authenticator });
  const prepared = await prepare(options, 'revoke', ['user', 'token', 'digest', 'all']);
  const { config, record } = prepared;
  const issuers = issuersOf(config, prepared.subject, options);
  const digest =
    options.digest === undefined ? prepared.subject.name : await completeDigest(prepared.subject.name, issuers);
  const isKnown = digest !== undefined;
  const subject = isKnown ? { ...prepared.subject, name: digest } : prepared.subject;
  const now = new Date();
  const report = createRevokeReport({ output: options.output, ofUser: subject.kind === 'user', now: now.getTime() });
  // The tokens first: else a replica could look one up, and cache the answer, in between.
  const { by, reason } = record;
  const revocation = { at: now, by, ...(reason !== undefined && { reason }) };
  if (isKnown) await Promise.all(issuers.map((issuing) => revokeWith(issuing, subject, revocation, report)));
  const isText = options.output === 'text';
  if (isText && subject.kind !== 'all') process.stdout.write(report.summary);
  const forgotten = isKnown ? await forget({ ...prepared, subject }) : { remarks: [], text: '', isDone: true };
  if (isText) process.stdout.write(forgotten.text + (isKnown && config.cache.redis ? advice(subject, options) : ''));
  else report.printJson(forgotten.json);
  const isMissing = isNothing(subject, report);
  tellRemarks([
    ...forgotten.remarks,
    ...(isMissing && report.found === 0 && !report.isIncomplete ? [nothingRemark(subject, issuers)] : []),
  ]);
  if (report.isIncomplete || !forgotten.isDone) return exitCodes.fault;
  return isMissing ? exitCodes.nothingRevoked : exitCodes.success;
}

/** Never rejects: what one issuer can't do keeps no other from it. */
async function revokeWith(
  issuing: Issuing,
  subject: Subject,
  revocation: { readonly at: Date; readonly by: string; readonly reason?: string },
  report: RevokeReport,
): Promise<void> {
  try {
    await withIssuer(issuing, async (issuer) => {
      for await (const one of issuer.revoke(selectionOf(subject, issuing), revocation)) report.add(one, issuing);
    });
  } catch (error) {
    report.fail(issuing, causeOf(error));
  }
}

function isNothing({ kind }: Subject, { revoked, found }: RevokeReport): boolean {
  return kind !== 'all' && (kind === 'user' ? revoked === 0 : found === 0);
}

function nothingRemark(subject: Subject, issuers: readonly Issuing[]): string {
  const names = issuers.map(({ authenticator }) => authenticator.name).join(', ');
  const what = subject.kind === 'user' ? `token of ${nameSubject(subject)}` : nameSubject(subject);
  if (names === '') return `no ${what}: no authenticator of this config issues such tokens`;
  return `no ${what} was issued by authenticator ${names}`;
}

/** What became of that which replicas have cached. */
interface Forgotten {
  /** For standard output. */
  readonly text: string;
  /** For standard error. */
  readonly remarks: readonly string[];
  readonly isDone: boolean;
  /** Left out: no entry was written. */
  readonly json?: object;
}

/** Never rejects: the tokens are revoked in any case. */
async function forget({ config, subject, record, wait }: Prepared): Promise<Forgotten> {
  const place = cacheRedisOf(config);
  const lingering = lingeringText(config, subject);
  if (place === undefined) {
    return {
      text: `Without cache.redis no replica forgets what it has cached. ${lingering}${mayStillPass}`,
      remarks: [],
      isDone: true,
    };
  }
  const entry = { ...record, name: subject.name, action: 'revoke' } satisfies Partial<Entry>;
  try {
    const announcement = await withCacheRedis(place, (redis) =>
      announceWithPatience(redis, ({ now }) => ({ ...entry, until: now + keptAtMost }), wait),
    );
    return forgottenBy(announcement, subject);
  } catch (error) {
    const problem = `the replicas did not learn of it, so they keep what they have cached: ${causeOf(error)}`;
    return { text: lingering + mayStillPass, remarks: [problem], isDone: false };
  }
}

function forgottenBy(announcement: Publication, subject: Subject): Forgotten {
  const first = `Replicas forget what they have cached of ${nameSubject(subject)}, and ask the backend at the next review.\n`;
  return {
    text: first + confirmationLine(announcement.confirmation) + mayStillPass,
    remarks: remarks(announcement),
    json: announcementJson(announcement),
    isDone: exitCodeOf(announcement) === exitCodes.success,
  };
}

/** How long a replica that does not learn of it may go on. */
function lingeringText({ authenticators }: GatewayConfig, { kind, name }: Subject): string {
  const theirs = authenticators.filter(({ username }) => kind !== 'user' || name.startsWith(username.prefix));
  const caches = theirs.flatMap(({ cache }) => (cache === 'off' ? [] : [cache]));
  const most = (key: 'authenticatedTtl' | 'staleTtl') => Math.max(0, ...caches.map((cache) => cache[key]));
  const [authenticatedTtl, staleTtl] = [most('authenticatedTtl'), most('staleTtl')];
  if (authenticatedTtl === 0) return 'This config caches nothing of it.\n';
  const stale = staleTtl === 0 ? '' : `, and ${humanDuration(staleTtl)} beyond while the backend is down (staleTtl)`;
  return `A replica may accept it from its cache for ${humanDuration(authenticatedTtl)} more (authenticatedTtl)${stale}.\n`;
}

/** Of a command that works with `cache.redis` only. */
function advice({ kind, name, token }: Subject, { config, exact }: RevokeOptions): string {
  if (kind === 'all') return 'No token was revoked: who has a good one, or a good password, gets in again.\n';
  if (kind === 'token' && token === undefined) return '';
  const words = kind === 'user' ? ['--user', name, ...(exact ? ['--exact'] : [])] : ['--token'];
  const command = commandLine(['block', ...words, '--for', '8h'], config);
  return `Who gets in again is for the backend to say. To refuse them whatever it says: ${command}\n`;
}

import type { RevokedToken, TokenSelection } from '@sallyport/authenticator';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { printable } from '../logging/printable.ts';
import { issuesTokens } from '../runtime/authenticators.ts';
import { commandLine } from './command-line.ts';
import { chooseIssuer, type Issuing, issuingOf, type SeenToken, seeToken, toJson, withIssuer } from './issuer.ts';
import { digestLength, jtiText } from './options.ts';
import { type ExitCode, exitCodes, printJson, printRemark, shortDigest, UsageError } from './output.ts';
import { confirmationLine, exitCodeOf, mayStillPass, publicationJson, publish, remarks } from './report.ts';
import { type EntryOptions, nameSubject, type Prepared, prepare } from './subject.ts';
import { humanDuration, timeText } from './times.ts';

export interface RevokeOptions extends EntryOptions {
  readonly authenticator?: string;
}

/** Revokes issued tokens for good, and has every replica forget what it has cached. */
export async function revoke(options: RevokeOptions): Promise<ExitCode> {
  refuseIds(options);
  const given = await prepare(options, 'revoke', ['user', 'token', 'digest', 'all']);
  const issuers = issuersOf(given, options);
  const found = await completeDigest(given, issuers);
  const prepared = found ?? given;
  const { kind } = prepared.draft;
  const outcome: Outcome = { revoked: [], already: [], unreadable: [], problems: [] };
  const isText = options.output === 'text';
  // The tokens come first: otherwise a replica could look one up in between, and cache the answer.
  const at = new Date();
  if (found) await Promise.all(issuers.map((one) => revokeWith(one, found, at, outcome, isText)));
  if (isText && kind !== 'all') process.stdout.write(`${summary(outcome)}.\n`);
  const forgotten = found ? await forget(found, options) : nothingCached;
  if (isText) process.stdout.write(forgotten.text);
  else printJson({ ...outcome, replicas: forgotten.json });
  for (const remark of forgotten.remarks) printRemark(remark);
  const revoked = outcome.revoked.length;
  const known = revoked + outcome.already.length + outcome.unreadable.length;
  const isNothing = kind !== 'all' && (kind === 'user' ? revoked : known) === 0;
  const isIncomplete = outcome.unreadable.length + outcome.problems.length > 0;
  if (isNothing && known === 0 && !isIncomplete) printRemark(nothingRemark(prepared, issuers));
  if (isIncomplete || !forgotten.isDone) return exitCodes.failure;
  return isNothing ? exitCodes.negative : exitCodes.success;
}

/** @throws UsageError when a `jti` or `sid` is named, with the command that does what is meant */
function refuseIds({ jti, sid, config }: RevokeOptions): void {
  const words = jti === undefined ? ['--sid', sid ?? ''] : ['--jti', jtiText(jti)];
  if (jti === undefined && sid === undefined) return;
  const command = commandLine(['block', ...words, '--for', '8h'], config);
  throw new UsageError(
    `nothing was done: only its issuer can revoke a token with a ${jti === undefined ? 'sid' : 'jti'}, and end its session. ` +
      `To refuse it here, whatever its issuer says: ${command}`,
  );
}

/**
 * Finds the authenticators that may have issued tokens of the subject.
 *
 * @throws UsageError when `--authenticator` names one that can't; Error when that one issues no tokens
 */
function issuersOf({ config, draft: { kind, name } }: Prepared, options: RevokeOptions): readonly Issuing[] {
  if (kind === 'all') return [];
  const named = options.authenticator;
  const issuing = named === undefined ? config.authenticators.filter(issuesTokens) : [chooseIssuer(config, named)];
  const able = issuing.filter(({ username: { prefix } }) => {
    return kind !== 'user' || (name.startsWith(prefix) && name !== prefix);
  });
  if (named !== undefined && able.length === 0) {
    const prefix = issuing[0]?.username.prefix;
    throw new UsageError(`users of authenticator ${named} begin with "${prefix}": correct --user or --authenticator`);
  }
  return able.map((authenticator) => issuingOf(config, authenticator, options.config));
}

/** How many tokens are listed of those that a digest's first digits may mean. */
const mostListed = 10;

/**
 * Completes the digest of the one token whose digest begins with the given digits.
 *
 * @returns undefined when there is none
 * @throws UsageError when there are several
 */
async function completeDigest(prepared: Prepared, issuers: readonly Issuing[]): Promise<Prepared | undefined> {
  const { kind, name: digits } = prepared.draft;
  if (kind !== 'token' || digits.length === digestLength) return prepared;
  const found = (await Promise.all(issuers.map((issuing) => tokensThatBegin(digits, issuing)))).flat();
  const [digest, ...others] = new Set(found.map((one) => one.digest));
  if (digest === undefined) return undefined;
  if (others.length === 0) return { ...prepared, draft: { ...prepared.draft, name: digest } };
  // With more digits than were given: otherwise they would still look the same.
  const lines = found.map(({ digest: all, user }) => `\n    ${digits.length < 12 ? shortDigest(all) : all}  ${user}`);
  const more = found.length > mostListed ? `\n    and ${found.length - mostListed} more` : '';
  throw new UsageError(
    `--digest ${digits} is the beginning of several, give more digits:${lines.slice(0, mostListed).join('')}${more}`,
  );
}

function tokensThatBegin(digits: string, issuing: Issuing) {
  return withIssuer(issuing, async (issuer) => {
    const found: { digest: string; user: string }[] = [];
    for await (const token of issuer.list({ digest: digits })) {
      const user = 'fault' in token ? 'unreadable' : printable(issuing.judge(token.user).user.username);
      found.push({ digest: token.digest, user });
    }
    return found;
  });
}

/** What became of the tokens, in JSON. */
interface Outcome {
  readonly revoked: object[];
  /** Those that were revoked before. */
  readonly already: object[];
  readonly unreadable: object[];
  /** Why not all tokens of an authenticator could be revoked. */
  readonly problems: object[];
}

/** Never rejects: a failure of one issuer keeps no other from revoking. Prints each token at once, so that none is lost. */
async function revokeWith(
  issuing: Issuing,
  prepared: Prepared,
  at: Date,
  outcome: Outcome,
  isText: boolean,
): Promise<void> {
  const authenticator = issuing.authenticator.name;
  const { kind, by, reason } = prepared.draft;
  const revocation = { at, by, ...(reason !== undefined && { reason }) };
  try {
    await withIssuer(issuing, async (issuer) => {
      for await (const one of issuer.revoke(selectionOf(prepared, issuing), revocation)) {
        if ('fault' in one) {
          const { digest, fault } = one;
          outcome.unreadable.push({ authenticator, digest, fault });
          // Such a record may name any user.
          const effect = kind === 'user' ? 'so it may be theirs' : 'so it authenticates no one as it is';
          printRemark(
            `${shortDigest(digest)} was not revoked: its record is unreadable, ${effect}: ${printable(fault)}`,
          );
        } else {
          const seen = seeToken(one.token, issuing.judge, at.getTime());
          (one.already ? outcome.already : outcome.revoked).push(toJson(seen, authenticator));
          if (isText) process.stdout.write(`${printable(revokedLine(one, seen, at))}\n`);
        }
      }
    });
  } catch (error) {
    const problem = causeOf(error);
    outcome.problems.push({ authenticator, problem });
    printRemark(`not all tokens of authenticator ${authenticator} are revoked: ${problem}`);
  }
}

function revokedLine({ token, already }: RevokedToken, { user }: SeenToken, at: Date): string {
  const { digest, issuedAt, issuedBy, revoked } = token;
  const by = (name: string | undefined) => (name === undefined ? '' : ` by ${name}`);
  const name = `${shortDigest(digest)}  ${user.username}`;
  if (already) return `${name}  was revoked already at ${timeText(revoked.at)}${by(revoked.by)}`;
  return `revoked ${name}${issuedAt === undefined ? '' : `  (issued ${humanDuration(+at - +issuedAt)} ago${by(issuedBy)})`}`;
}

function summary({ revoked, already, unreadable }: Outcome): string {
  const sessions = revoked.filter((one) => 'session' in one).length;
  const tokens = revoked.length - sessions;
  const parts = [
    (tokens > 0 || sessions === 0) && `${tokens} ${tokens === 1 ? 'token' : 'tokens'} revoked`,
    sessions > 0 && `${sessions} ${sessions === 1 ? 'session' : 'sessions'} revoked`,
    already.length > 0 && `${already.length} revoked already`,
    unreadable.length > 0 && `${unreadable.length} unreadable`,
  ];
  return parts.filter((part) => part !== false).join(', ');
}

/** What an issuer is asked to revoke, in the names of its backend. */
function selectionOf({ draft: { kind, name }, token }: Prepared, { authenticator }: Issuing): TokenSelection {
  if (kind === 'user') return { username: name.slice(authenticator.username.prefix.length) };
  return token === undefined ? { digest: name } : { token };
}

function nothingRemark({ draft }: Prepared, issuers: readonly Issuing[]): string {
  const names = issuers.map(({ authenticator }) => authenticator.name).join(', ');
  const what = draft.kind === 'user' ? `token of ${nameSubject(draft)}` : nameSubject(draft);
  if (names === '') return `no ${what}: no authenticator of this config issues such tokens`;
  return `no ${what} was issued by authenticator ${names}`;
}

/**
 * How long a revocation is remembered, in milliseconds: as long as any cache may hold what it revokes, whatever config
 * that cache has or will have. `authenticatedTtl` and `staleTtl` are 24 hours at most each (config/cache/lifetimes.ts), and
 * one more hour is for clocks.
 */
export const rememberedFor = (24 + 24 + 1) * 3_600_000;

/** What became of the answers that replicas have cached. */
interface Forgotten {
  /** For standard output. */
  readonly text: string;
  /** For standard error. */
  readonly remarks: readonly string[];
  readonly isDone: boolean;
  /** Left out: no entry was written. */
  readonly json?: object;
}

const nothingCached: Forgotten = { text: '', remarks: [], isDone: true };

/** Never rejects: the tokens are revoked in any case. */
async function forget(prepared: Prepared, options: RevokeOptions): Promise<Forgotten> {
  const { config, draft } = prepared;
  const lingering = lingeringText(config, draft);
  if (config.cache.redis === undefined) {
    const text = `Without cache.redis no replica forgets what it has cached. ${lingering}${mayStillPass}`;
    return { text, remarks: [], isDone: true };
  }
  const next = advice(prepared, options);
  try {
    const publication = await publish(config, options.wait, ({ now }) => ({ ...draft, until: now + rememberedFor }));
    const first = `Replicas forget what they have cached of ${nameSubject(draft)}, and ask the backend at the next review.\n`;
    return {
      text: first + confirmationLine(publication.confirmation) + mayStillPass + next,
      remarks: remarks(publication),
      json: publicationJson(publication),
      isDone: exitCodeOf(publication) === exitCodes.success,
    };
  } catch (error) {
    const problem = `the replicas did not learn of it, so they keep what they have cached: ${causeOf(error)}`;
    return { text: lingering + mayStillPass + next, remarks: [problem], isDone: false };
  }
}

/** Says how long a replica that does not learn of it may accept the token. */
function lingeringText({ authenticators }: GatewayConfig, { kind, name }: Prepared['draft']): string {
  const theirs = authenticators.filter(({ username }) => kind !== 'user' || name.startsWith(username.prefix));
  const caches = theirs.flatMap(({ cache }) => (cache === 'off' ? [] : [cache]));
  const most = (key: 'authenticatedTtl' | 'staleTtl') => Math.max(0, ...caches.map((cache) => cache[key]));
  const [authenticatedTtl, staleTtl] = [most('authenticatedTtl'), most('staleTtl')];
  if (authenticatedTtl === 0) return 'This config caches nothing of it.\n';
  const stale = staleTtl === 0 ? '' : `, and ${humanDuration(staleTtl)} beyond while the backend is down (staleTtl)`;
  return `A replica may accept it from its cache for ${humanDuration(authenticatedTtl)} more (authenticatedTtl)${stale}.\n`;
}

/** Says what to do next, with commands that need `cache.redis`. */
function advice({ draft: { kind, name }, token }: Prepared, { config, exact }: RevokeOptions): string {
  if (kind === 'all') return 'No token was revoked: whoever has a good one, or a good password, gets in again.\n';
  if (kind === 'token' && token === undefined) return '';
  const words = kind === 'user' ? ['--user', name, ...(exact ? ['--exact'] : [])] : ['--token'];
  const command = commandLine(['block', ...words, '--for', '8h'], config);
  return `The backend decides who gets in again. To refuse them whatever it says: ${command}\n`;
}

import type { RevokedToken, TokenSelection } from '@sallyport/authenticator';
import { printable } from '../../base/logging/printable.ts';
import { causeOf, wordsOf } from '../../config/problems.ts';
import { shortDigest } from '../../engine/revocation/list.ts';
import { issuesTokens } from '../../runtime/authenticators.ts';
import { mayStillPass, publishWithInterrupt, report } from '../blocks/report.ts';
import type { CommandContext } from '../context.ts';
import {
  chooseIssuer,
  type IssuerSetup,
  type SeenToken,
  seeToken,
  setUpIssuer,
  toJson,
  withIssuer,
} from '../issuer.ts';
import { digestLength, jtiText } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printRemark, UsageError } from '../output.ts';
import { commandLine } from '../printed-commands.ts';
import { roundedDuration, timeText } from '../times.ts';
import { checkName, remarkDoubts } from '../users/name-check.ts';
import { type EntryOptions, nameSubject, type Prepared, prepare } from '../users/subject.ts';
import { canHaveName } from '../users/user-names.ts';
import { advice, effectText, lingeringText } from './revoke-texts.ts';

/** Revokes issued tokens for good, and has every replica forget what it has cached. */
export async function revoke(context: CommandContext, options: EntryOptions): Promise<ExitCode> {
  refuseIds(context, options);
  const given = await prepare(context, options, 'revoke', ['user', 'token', 'digest', 'all']);
  const issuers = findIssuers(context, given, options);
  const found = await completeDigest(context, given, issuers);
  const { kind } = given.draft;
  const { outcome, forgotten } = await revokeFound(context, given, found, issuers, options);
  const revoked = outcome.revoked.length;
  const known = countKnown(outcome);
  const isNothing = kind !== 'all' && (kind === 'user' ? revoked : known) === 0;
  if (isNothing && known === 0 && isComplete(outcome)) {
    printRemark(context, nothingRemark(given, issuers));
    if (kind === 'user') await remarkUser(context, given, options);
  }
  if (!isComplete(outcome) || forgotten !== exitCodes.success) return exitCodes.failure;
  return isNothing ? exitCodes.negative : exitCodes.success;
}

/** Counts the tokens that the issuers know, revoked or not. */
function countKnown({ revoked, already, unreadable }: Outcome): number {
  return revoked.length + already.length + unreadable.length;
}

/** What else a command says that revokes tokens among other things. */
interface Around {
  /** Is in the JSON too. */
  readonly json?: object;
  /** Says who can log in again. */
  readonly again?: string;
  /** Whether it says nothing of tokens that were revoked before. */
  readonly isOnlyNew?: boolean;
}

interface RevokeState {
  readonly isText: boolean;
  /** The digests of the tokens that were dealt with before. */
  readonly seen: Set<string>;
  /** The issuers that have failed. */
  readonly failed: Set<IssuerSetup>;
}

/** Whether each token of the subject is revoked. */
export function isComplete({ unreadable, problems }: Outcome): boolean {
  return unreadable.length + problems.length === 0;
}

/**
 * Revokes the tokens of a subject, has every replica forget what it has cached, and prints both.
 *
 * @param found undefined: no token has the digits that were given
 */
export async function revokeFound(
  context: CommandContext,
  given: Prepared,
  found: Prepared | undefined,
  issuers: readonly IssuerSetup[],
  options: EntryOptions,
  around: Around = {},
) {
  const outcome: Outcome = { revoked: [], already: [], unreadable: [], problems: [] };
  const isText = options.output === 'text';
  const seen = new Set<string>();
  const failed = new Set<IssuerSetup>();
  const revokeAll = async (subject: Prepared) => {
    const at = new Date(context.now());
    const more = { isText, seen, failed, ...around };
    // An issuer that has failed is reported once: the command must be run again in any case.
    const ended = issuers
      .filter((setup) => !failed.has(setup))
      .map((setup) => revokeWith(context, setup, subject, at, outcome, more));
    return (await Promise.all(ended)).flat();
  };
  // The tokens come first: otherwise a replica could look one up in between, and cache the answer.
  const ended = found ? await revokeAll(found) : [];
  if (isText && given.draft.kind !== 'all') {
    const shown = around.isOnlyNew ? { ...outcome, already: [] } : outcome;
    context.stdout.write(`${summary(shown, areSessions(given, issuers))}.\n`);
  }
  const revokeLate = async (): Promise<boolean> => {
    if (given.draft.kind !== 'user') return false;
    const before = outcome.revoked.length;
    await revokeAll(given);
    const late = outcome.revoked.length - before;
    if (isText && late > 0) context.stdout.write(lateText(late));
    return late > 0;
  };
  const inJson = (replicas?: object) => ({ ...around.json, ...outcome, replicas });
  const texts = { inJson, again: around.again, revokeLate };
  const forgotten = found ? await forget(context, found, options, ended, texts) : exitCodes.success;
  if (!found && !isText) printJson(context, inJson());
  return { outcome, forgotten };
}

async function remarkUser(
  context: CommandContext,
  { config, draft }: Prepared,
  { authenticator, config: file, wait }: EntryOptions,
): Promise<void> {
  const more = authenticator === undefined ? [] : ['--authenticator', authenticator];
  remarkDoubts(
    context,
    await checkName(context, config, draft.name, wait),
    (name) => ['revoke', '--user', name, ...more],
    file,
  );
}

/** @throws UsageError when a `jti` or `sid` is named, with the command that does what is meant */
function refuseIds(context: CommandContext, { jti, sid, config }: EntryOptions): void {
  const [kind, id] = jti === undefined ? ['sid', sid] : ['jti', jtiText(jti)];
  if (id === undefined) return;
  throw new UsageError(
    `nothing was done: only its issuer can revoke a token with a ${kind}, and end its session`,
    `to refuse it here, whatever its issuer says, run: ${commandLine(context, ['block', `--${kind}`, id, '--for', '8h'], config)}`,
  );
}

/** Finds the authenticators that may have issued tokens of the subject. @throws UsageError, Error as `chooseIssuer` */
export function findIssuers(
  context: CommandContext,
  { config, draft: { kind, name } }: Prepared,
  options: EntryOptions,
): readonly IssuerSetup[] {
  if (kind === 'all') return [];
  const wantedName = options.authenticator;
  const issuers =
    wantedName === undefined
      ? config.authenticators.filter(issuesTokens)
      : [chooseIssuer(config, wantedName)];
  const able = issuers.filter((issuer) => kind !== 'user' || canHaveName(issuer, name));
  if (wantedName !== undefined && able.length === 0) {
    const prefix = issuers[0]?.username.prefix;
    throw new UsageError(
      `users of authenticator ${wantedName} begin with "${prefix}"`,
      'correct --user or --authenticator',
    );
  }
  return able.map((authenticator) => setUpIssuer(context, config, authenticator, options.config));
}

/** Completes the first digits of a digest. @returns undefined when no token has them. @throws UsageError when several have */
async function completeDigest(
  context: CommandContext,
  prepared: Prepared,
  issuers: readonly IssuerSetup[],
): Promise<Prepared | undefined> {
  const { kind, name: digits } = prepared.draft;
  if (kind !== 'token' || digits.length === digestLength) return prepared;
  const users = new Map<string, string>();
  const collect = (setup: IssuerSetup) =>
    withIssuer(context, setup, async (issuer) => {
      for await (const one of issuer.list({ digest: digits })) {
        users.set(
          one.digest,
          'problem' in one ? 'unreadable' : printable(setup.nameUser(one.user).user.username),
        );
      }
    });
  await Promise.all(issuers.map(collect));
  const [digest, ...others] = users.keys();
  if (digest === undefined) return undefined;
  if (others.length === 0) return { ...prepared, draft: { ...prepared.draft, name: digest } };
  // The list has more digits than were given: otherwise they would still look the same.
  const lines = [...users].map(
    ([all, user]) => `\n  ${digits.length < 12 ? shortDigest(all) : all}  ${user}`,
  );
  const maxListed = 10;
  const listed =
    lines.slice(0, maxListed).join('') +
    (users.size > maxListed ? `\n  and ${users.size - maxListed} more` : '');
  throw new UsageError(
    `--digest ${digits} is the beginning of several digests`,
    `give more digits of one of these:${listed}`,
  );
}

/** An Outcome has the JSON of what became of the tokens: revoked now or before, and why not all of an authenticator could be revoked. */
type Outcome = Readonly<Record<'revoked' | 'already' | 'unreadable' | 'problems', object[]>>;

/**
 * Revokes the tokens of one issuer. It never rejects, so that a failure of one issuer keeps no other from revoking. It prints each token
 * immediately, so that none is lost.
 *
 * @returns the tokens that are revoked, now or before
 */
async function revokeWith(
  context: CommandContext,
  setup: IssuerSetup,
  prepared: Prepared,
  at: Date,
  outcome: Outcome,
  { isText, seen, failed, isOnlyNew = false }: Around & RevokeState,
) {
  const authenticator = setup.authenticator.name;
  const { kind, by, reason } = prepared.draft;
  const revocation = { at, by, ...(reason !== undefined && { reason }) };
  const ended: SeenToken[] = [];
  let unconfirmed = 0;
  try {
    await withIssuer(context, setup, async (issuer) => {
      for await (const one of issuer.revoke(selectionOf(prepared, setup), revocation)) {
        const { digest: id } = 'problem' in one ? one : one.token;
        if (seen.has(id)) continue;
        seen.add(id);
        if ('problem' in one) {
          const { digest, problem } = one;
          outcome.unreadable.push({ authenticator, digest, problem });
          // Such a record may name any user.
          const effect =
            kind === 'user' ? 'so it may be theirs' : 'so it authenticates no one as it is';
          printRemark(
            context,
            `${shortDigest(digest)} was not revoked: its record is unreadable, ${effect}: ${printable(problem)}`,
          );
        } else {
          const seen = seeToken(one.token, setup.nameUser, at.getTime());
          ended.push(seen);
          const { already, unconfirmed: isUnconfirmed } = one;
          (already ? outcome.already : outcome.revoked).push({
            ...toJson(seen, authenticator),
            ...(isUnconfirmed && { unconfirmed: true }),
          });
          if (isUnconfirmed) unconfirmed += 1;
          if (isText && !(already && isOnlyNew))
            context.stdout.write(`${printable(revokedLine(one, seen, at))}\n`);
        }
      }
    });
  } catch (error) {
    const { message, fix } = wordsOf(error);
    failed.add(setup);
    outcome.problems.push({ authenticator, problem: causeOf(error) });
    printRemark(
      context,
      `not all tokens of authenticator ${authenticator} are revoked: ${message}`,
      fix,
    );
  }
  if (unconfirmed > 0) {
    const count = unconfirmed === 1 ? 'it' : `${unconfirmed} of them`;
    printRemark(
      context,
      `no replica of the store of authenticator ${authenticator} has confirmed ${count}: a failover now can undo the revocation`,
      'check the replicas of that store. After a failover, run the command again',
    );
  }
  return ended;
}

function revokedLine({ token, already }: RevokedToken, { user }: SeenToken, at: Date): string {
  const { digest, issuedAt, issuedBy, revoked } = token;
  const by = (name: string | undefined) => (name === undefined ? '' : ` by ${name}`);
  const name = `${shortDigest(digest)}  ${user.username}`;
  if (already) return `${name}  was revoked already at ${timeText(revoked.at)}${by(revoked.by)}`;
  return `revoked ${name}${issuedAt === undefined ? '' : `  (issued ${roundedDuration(+at - +issuedAt)} ago${by(issuedBy)})`}`;
}

function lateText(count: number): string {
  return count === 1
    ? '1 more revoked: it was made while this command ran.\n'
    : `${count} more revoked: they were made while this command ran.\n`;
}

/** Whether only sessions were asked for. */
function areSessions({ config: { login } }: Prepared, issuers: readonly IssuerSetup[]): boolean {
  return (
    issuers.length > 0 &&
    issuers.every(({ authenticator }) => authenticator.name === login?.sessions)
  );
}

/** Counts what became of the tokens. @param ofSessions whether only sessions were asked for */
function summary({ revoked, already, unreadable }: Outcome, ofSessions: boolean): string {
  const sessions = revoked.filter((one) => 'session' in one).length;
  const tokens = revoked.length - sessions;
  const parts = [
    (tokens > 0 || (sessions === 0 && !ofSessions)) &&
      `${tokens} ${tokens === 1 ? 'token' : 'tokens'} revoked`,
    (sessions > 0 || (tokens === 0 && ofSessions)) &&
      `${sessions} ${sessions === 1 ? 'session' : 'sessions'} revoked`,
    already.length > 0 && `${already.length} revoked already`,
    unreadable.length > 0 && `${unreadable.length} unreadable`,
  ];
  return parts.filter((part) => part !== false).join(', ');
}

function selectionOf(
  { draft: { kind, name }, token }: Prepared,
  { authenticator }: IssuerSetup,
): TokenSelection {
  if (kind === 'user') return { username: name.slice(authenticator.username.prefix.length) };
  return token === undefined ? { digest: name } : { token };
}

function nothingRemark(given: Prepared, issuers: readonly IssuerSetup[]): string {
  const { draft } = given;
  const names = issuers.map(({ authenticator }) => authenticator.name).join(', ');
  const one = areSessions(given, issuers) ? 'session' : 'token';
  const what = draft.kind === 'user' ? `${one} of ${nameSubject(draft)}` : nameSubject(draft);
  if (names === '') return `no ${what}: no authenticator of this config issues such tokens`;
  return `no ${what} was issued by authenticator ${names}`;
}

/**
 * Milliseconds for which a revocation is remembered: as long as any cache may have what it revokes, whatever its config is or will be.
 * `authenticatedTtl` and `staleTtl` are at most 24 hours each (config/cache/lifetimes.ts), and one more hour is for clocks that differ.
 * Sessions can last longer, but they are revoked themselves. Logins in progress end within minutes.
 */
export const rememberedFor = (24 + 24 + 1) * 3_600_000;

interface ForgetParts {
  readonly inJson: (replicas?: object) => object;
  readonly again: string | undefined;
  /** Revokes what was made before all replicas knew of the revocation. @returns whether there was any */
  readonly revokeLate: () => Promise<boolean>;
}

/** Has the replicas forget their cached answers, and prints what becomes of these. It never rejects: the tokens are revoked in any case. */
async function forget(
  context: CommandContext,
  prepared: Prepared,
  options: EntryOptions,
  ended: readonly SeenToken[],
  { inJson, again, revokeLate }: ForgetParts,
) {
  const { config, draft } = prepared;
  const print = (text: string) => {
    if (options.output === 'json') printJson(context, inJson());
    else context.stdout.write(text);
  };
  const lingering = lingeringText(config, draft);
  if (config.cache.redis === undefined) {
    print(`Without cache.redis no replica forgets what it has cached. ${lingering}${mayStillPass}`);
    return (options.expect ?? 0) > 0 ? exitCodes.failure : exitCodes.success;
  }
  const next = advice(context, prepared, ended, options, again);
  try {
    const publish = () =>
      publishWithInterrupt(context, config, options, ({ now }) => ({
        ...draft,
        until: now + rememberedFor,
      }));
    let publication = await publish();
    // A login in progress may have made a session until its replica confirmed, and others may have cached it.
    if (await revokeLate()) publication = await publish();
    return report(
      context,
      publication,
      options.output,
      [effectText(context, config, draft, ended, options), mayStillPass + next],
      inJson,
    );
  } catch (error) {
    print(lingering + mayStillPass + next);
    const { message, fix } = wordsOf(error);
    printRemark(
      context,
      `the replicas did not learn of it, so they keep their cached answers: ${message}`,
      fix,
    );
    return exitCodes.failure;
  }
}

import type { RevokedToken, TokenSelection, UnreadableToken } from '@sallyport/authenticator';
import { printable } from '../../base/logging/printable.ts';
import { describeCause, describeError } from '../../config/problems.ts';
import { type Entry, selectBlocks } from '../../engine/revocation/list.ts';
import { findBlock } from '../blocks/block.ts';
import { mayStillPass, publishEntry, report } from '../blocks/report.ts';
import {
  describeWithoutRedis,
  listRemainingWays,
  type MissedEffect,
} from '../blocks/without-redis.ts';
import type { CommandContext } from '../context.ts';
import { type IssuerSetup, type SeenToken, seeToken, toJson, withIssuer } from '../issuer.ts';
import { type ExitCode, exitCodes, printJson, printRemark } from '../output.ts';
import type { EntryOptions, EntryPlan } from '../users/subject.ts';
import { noOutcome, type Outcome } from './revoke-outcome.ts';
import {
  adviceText,
  areSessions,
  blockedText,
  effectText,
  lateText,
  lingeringText,
  revokedLine,
  summaryText,
  unconfirmedText,
  unreadableText,
} from './revoke-texts.ts';

/** What another command that revokes tokens, too, says in place of `revoke`. */
interface RevokeTexts {
  /** Is in the JSON, before the tokens. */
  readonly json?: object;
  /** Says who can log in again. */
  readonly nextLogin?: string;
  /** Whether the text lists the tokens that were revoked before. Left out: it does. */
  readonly listsEarlier?: boolean;
}

/** Revokes the tokens of a subject, has every replica forget what it has cached, and prints both. */
export async function revokeTokens(
  context: CommandContext,
  plan: EntryPlan,
  issuers: readonly IssuerSetup[],
  options: EntryOptions,
  { json, nextLogin, listsEarlier = true }: RevokeTexts = {},
): Promise<{ readonly outcome: Outcome; readonly forgotten: ExitCode }> {
  const { config, draft } = plan;
  const print = (text: string) => {
    if (options.output === 'text') context.stdout.write(text);
  };
  const printLine = (line: string, already: boolean) => {
    if (listsEarlier || !already) print(`${line}\n`);
  };
  const { outcome, tokens, revokeAll } = createRevoker(context, plan, issuers, printLine);
  // The tokens come first: otherwise a replica could look one up in between, and cache the answer.
  await revokeAll();
  const counted = listsEarlier ? outcome : { ...outcome, already: [] };
  if (draft.kind !== 'all') print(summaryText(counted, areSessions(plan, issuers)));
  const revokeLate = async (): Promise<boolean> => {
    const { length } = outcome.revoked;
    if (draft.kind === 'user') await revokeAll();
    const late = outcome.revoked.length - length;
    if (late > 0) print(lateText(late));
    return late > 0;
  };
  const forgotten = await forget(context, plan, options, {
    makeJson: (replicas) => ({ ...json, ...outcome, replicas }),
    effect: effectText(context, config, draft, tokens),
    makeAdvice: (block) =>
      block === undefined
        ? adviceText(context, plan, tokens, options.exact, nextLogin)
        : `${nextLogin === undefined ? '' : `${nextLogin} `}${blockedText(block)}`,
    revokeLate,
  });
  return { outcome, forgotten };
}

/**
 * Makes what revokes the tokens of a subject, as often as it is called. It never rejects, so that a failure of one issuer keeps no
 * other from revoking, and prints each token immediately, so that none is lost. `tokens` are those that are revoked, now or before.
 */
function createRevoker(
  context: CommandContext,
  plan: EntryPlan,
  issuers: readonly IssuerSetup[],
  printLine: (line: string, already: boolean) => void,
) {
  const { kind, by: operator, reason } = plan.draft;
  const outcome = noOutcome();
  const tokens: SeenToken[] = [];
  const digests = new Set<string>();
  const failed = new Set<IssuerSetup>();

  const note = (result: RevokedToken | UnreadableToken, setup: IssuerSetup, time: Date) => {
    const authenticator = setup.authenticator.name;
    if ('problem' in result) {
      const { digest, problem } = result;
      outcome.unreadable.push({ authenticator, digest, problem });
      printRemark(context, unreadableText(result, kind));
      return;
    }
    const token = seeToken(result.token, setup.nameUser, time.getTime());
    const { already, unconfirmed } = result;
    tokens.push(token);
    (already ? outcome.already : outcome.revoked).push({
      ...toJson(token, authenticator),
      ...(unconfirmed && { unconfirmed: true }),
    });
    printLine(printable(revokedLine(result, token, time)), already);
  };
  const revokeWith = async (setup: IssuerSetup, time: Date) => {
    const { name } = setup.authenticator;
    const revocation = { at: time, by: operator, ...(reason !== undefined && { reason }) };
    let unconfirmed = 0;
    try {
      await withIssuer(context, setup, async (issuer) => {
        for await (const result of issuer.revoke(makeSelection(plan, setup), revocation)) {
          const { digest } = 'problem' in result ? result : result.token;
          if (digests.has(digest)) continue;
          digests.add(digest);
          note(result, setup, time);
          if ('token' in result && result.unconfirmed) unconfirmed += 1;
        }
      });
    } catch (error) {
      const { message, fix } = describeError(error);
      failed.add(setup);
      outcome.problems.push({ authenticator: name, problem: describeCause(error) });
      printRemark(context, `not all tokens of authenticator ${name} are revoked: ${message}`, fix);
    }
    if (unconfirmed > 0) {
      const fix = 'check the replicas of that store. After a failover, run the command again';
      printRemark(context, unconfirmedText(name, unconfirmed), fix);
    }
  };
  const revokeAll = async (): Promise<void> => {
    const time = new Date(context.now());
    // An issuer that has failed is reported once: the command must be run again in any case.
    const remaining = issuers.filter((setup) => !failed.has(setup));
    await Promise.all(remaining.map((setup) => revokeWith(setup, time)));
  };
  return { outcome, tokens, revokeAll };
}

function makeSelection(
  { draft: { kind, name }, token }: EntryPlan,
  { authenticator }: IssuerSetup,
): TokenSelection {
  if (kind === 'user') return { username: name.slice(authenticator.username.prefix.length) };
  return token === undefined ? { digest: name } : { token };
}

/**
 * Milliseconds for which a revocation is remembered: as long as any cache may have what it revokes, whatever its config is or will be.
 * `authenticatedTtl` and `staleTtl` are at most 24 hours each (config/cache/lifetimes.ts), and one more hour is for clocks that differ.
 * Sessions can last longer, but they are revoked themselves. Logins in progress end within minutes.
 */
export const rememberedFor = (24 + 24 + 1) * 3_600_000;

interface ForgetTexts {
  readonly makeJson: (replicas?: object) => object;
  readonly effect: string;
  /** Says what still lets the user in. @param block of the subject, if it has one */
  readonly makeAdvice: (block: Entry | undefined) => string;
  /** Revokes what was made before all replicas knew of the revocation. @returns whether there was any */
  readonly revokeLate: () => Promise<boolean>;
}

/** Has the replicas forget their cached answers, and prints what becomes of these. It never rejects: the tokens are revoked in any case. */
async function forget(
  context: CommandContext,
  { config, draft }: EntryPlan,
  options: EntryOptions,
  { makeJson, effect, makeAdvice, revokeLate }: ForgetTexts,
): Promise<ExitCode> {
  const print = (text: string, unpublished?: object) => {
    if (options.output === 'json')
      printJson(context, { ...makeJson(), ...(unpublished && { unpublished }) });
    else context.stdout.write(text);
  };
  const lingering = lingeringText(config, draft) + mayStillPass;
  if (config.cache.redis === undefined) {
    print(`Without cache.redis no replica forgets what it has cached. ${lingering}`);
    return (options.expect ?? 0) > 0 ? exitCodes.failure : exitCodes.success;
  }
  let block: Entry | undefined;
  const publish = () =>
    publishEntry(context, config, options, (listing) => {
      block = findBlock(selectBlocks(listing), draft);
      return { ...draft, until: listing.now + rememberedFor };
    });
  try {
    let publication = await publish();
    // A login in progress may have made a session until its replica confirmed, and others may have cached it.
    if (await revokeLate()) publication = await publish();
    const texts = [effect, mayStillPass + makeAdvice(block)] as const;
    return report(context, publication, options.output, texts, makeJson);
  } catch (error) {
    const missed: MissedEffect = {
      undone: 'the replicas did not learn of it, so they keep their cached answers',
      doubtful: 'not all replicas might have learned of it, and others keep their cached answers',
      ways: listRemainingWays(context, options),
    };
    const {
      effect: missedEffect,
      reason,
      fix,
      json,
    } = describeWithoutRedis(context, missed, error);
    // A block would need the same Redis.
    print(lingering, json);
    printRemark(context, `${missedEffect}: ${reason}`, fix);
    return exitCodes.failure;
  }
}

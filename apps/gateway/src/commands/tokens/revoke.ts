import { readUnverifiedJwt } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import { describeError, FixableError } from '../../config/problems.ts';
import { issuesTokens } from '../../runtime/authenticators.ts';
import {
  explainWithoutRedis,
  listRemainingWays,
  type MissedEffect,
} from '../blocks/without-redis.ts';
import { completeDigest } from '../complete-digest.ts';
import type { CommandContext } from '../context.ts';
import { chooseIssuer, type IssuerSetup, setUpIssuer, withIssuer } from '../issuer.ts';
import { digestLength, jtiText } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printRemark, UsageError } from '../output.ts';
import { commandLine } from '../printed-commands.ts';
import { checkName, remarkDoubts } from '../users/name-check.ts';
import { type EntryOptions, type EntryPlan, planEntry } from '../users/subject.ts';
import { canHaveName } from '../users/user-names.ts';
import { isComplete, noOutcome } from './revoke-outcome.ts';
import { areSessions, summaryText, unknownText } from './revoke-texts.ts';
import { revokeTokens } from './revoke-tokens.ts';

/** Revokes issued tokens for good, and has every replica forget what it has cached. */
export async function revoke(context: CommandContext, options: EntryOptions): Promise<ExitCode> {
  refuseIds(context, options);
  // Only --all can do nothing without the cache Redis.
  const effect: MissedEffect = {
    undone: 'no replica clears what it has cached: nothing was written',
    ways: listRemainingWays(context, options),
  };
  return explainWithoutRedis(context, options, effect, () => revokeSubject(context, options));
}

async function revokeSubject(context: CommandContext, options: EntryOptions): Promise<ExitCode> {
  const plan = await planEntry(context, options, 'revoke', ['user', 'token', 'digest', 'all']);
  const { config } = plan;
  const { kind, name } = plan.draft;
  const { authenticator } = options;
  const authenticatorArgs = authenticator === undefined ? [] : ['--authenticator', authenticator];
  const issuers = findIssuers(context, plan, options);
  const selected = await completeSubject(context, plan, issuers);
  if (selected === undefined) {
    if (options.output === 'json') printJson(context, noOutcome());
    else context.stdout.write(summaryText(noOutcome(), areSessions(plan, issuers)));
    printRemark(context, unknownText(plan, issuers), listCommands(issuers));
    return exitCodes.negative;
  }
  const { outcome, forgotten } = await revokeTokens(context, selected, issuers, options);
  const { revoked, already } = outcome;
  const isUnknown = kind !== 'all' && revoked.length + already.length === 0;
  // A user of a directory has answers in caches, and needs no token.
  let hasEffect = kind === 'user' ? revoked.length > 0 : !isUnknown;
  if (!hasEffect && isComplete(outcome)) {
    const checked =
      kind === 'user' ? await checkName(context, config, name, options.wait) : undefined;
    const isKnown = checked?.isKnown === true;
    const fix = proposeBlockOfJwt(context, plan) ?? listCommands(issuers);
    if (isUnknown) printRemark(context, unknownText(plan, issuers), isKnown ? undefined : fix);
    if (isUnknown && checked)
      remarkDoubts(context, checked, (username) => [
        'revoke',
        '--user',
        username,
        ...authenticatorArgs,
      ]);
    hasEffect = isKnown && authenticator === undefined;
  }
  if (!isComplete(outcome) || forgotten !== exitCodes.success) return exitCodes.failure;
  return hasEffect ? exitCodes.success : exitCodes.negative;
}

/** Says how to refuse a JWT, which no authenticator of a config has issued. Undefined: the token is not one. */
function proposeBlockOfJwt(context: CommandContext, { token = '' }: EntryPlan): string | undefined {
  const claims = readUnverifiedJwt(token)?.claims;
  if (claims === undefined) return undefined;
  const { jti } = claims;
  const words = typeof jti === 'string' && jti !== '' ? ['--jti', jtiText(jti)] : ['--token'];
  return `only its issuer can revoke a JWT. To refuse it here, run: ${commandLine(context, ['block', ...words, '--for', '8h'])}`;
}

/** Says how to see what the issuers have issued. Undefined: there are no issuers. */
function listCommands(issuers: readonly IssuerSetup[]): string | undefined {
  const commands = issuers.map(({ toPaste }) => toPaste('token', 'list'));
  return commands.length === 0 ? undefined : `list all: ${commands.join(', or ')}`;
}

/** @throws UsageError when a `jti` or `sid` is named, with the command that does what is meant */
function refuseIds(context: CommandContext, { jti, sid }: EntryOptions): void {
  const [kind, id] = jti === undefined ? ['sid', sid] : ['jti', jtiText(jti)];
  if (id === undefined) return;
  throw new UsageError(
    `nothing was done: only its issuer can revoke a token with a ${kind}, and end its session`,
    `to refuse it here, whatever its issuer says, run: ${commandLine(context, ['block', `--${kind}`, id, '--for', '8h'])}`,
  );
}

/** Finds the authenticators that may have issued tokens of the subject. @throws UsageError, Error as `chooseIssuer` */
export function findIssuers(
  context: CommandContext,
  { config, draft: { kind, name } }: EntryPlan,
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
  return able.map((authenticator) => setUpIssuer(context, config, authenticator));
}

/** Completes the first digits of a digest. @returns undefined when no token has them. @throws UsageError when several have */
async function completeSubject(
  context: CommandContext,
  plan: EntryPlan,
  issuers: readonly IssuerSetup[],
): Promise<EntryPlan | undefined> {
  const { kind, name: digits } = plan.draft;
  if (kind !== 'token' || digits.length === digestLength) return plan;
  const users = new Map<string, string>();
  const collect = (setup: IssuerSetup) =>
    withIssuer(context, setup, async (issuer) => {
      for await (const token of issuer.list({ digest: digits })) {
        const user =
          'problem' in token ? 'unreadable' : printable(setup.nameUser(token.user).user.username);
        users.set(token.digest, user);
      }
    });
  await Promise.all(issuers.map(collect)).catch((error: unknown) => {
    const { message, fix } = describeError(error);
    throw new FixableError(`nothing is revoked: ${message}`, fix, { cause: error });
  });
  const name = completeDigest(digits, users);
  return name === undefined ? undefined : { ...plan, draft: { ...plan.draft, name } };
}

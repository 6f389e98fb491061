import { RedisProblem } from '@sallyport/redis-connection';
import { printable } from '../../base/logging/printable.ts';
import { shellQuoted } from '../../base/shell-quoted.ts';
import { describeError, FixableError } from '../../config/problems.ts';
import { MissingCacheRedisError } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import type { ReadOptions } from '../options.ts';
import { printJson } from '../output.ts';
import { commandLine, helpdeskScript, userWords } from '../printed-commands.ts';
import type { EntryOptions } from '../users/subject.ts';

/** A way to keep a user out that needs no Redis. */
interface RemainingWay {
  readonly effect: string;
  /** Lines to paste, or to complete where they have a word in capitals. */
  readonly commands: readonly string[];
}

/** What it means that a command could not change or read what is in the cache Redis. */
export interface MissedEffect {
  /** What is so because nothing was written, such as `user corp:jane is not blocked: nothing was written`. */
  readonly undone: string;
  /** The same if it is not known whether the entry was written, or who has it. */
  readonly doubtful?: string;
  readonly ways?: readonly RemainingWay[];
}

/** The section that has all ways, and how long each takes. */
const section = 'docs/block-and-revoke.md#while-redis-is-down';

const findBindings = 'kubectl get clusterrolebindings,rolebindings -A -o wide | grep -F';
const deleteBinding = 'kubectl delete -n NAMESPACE BINDING';

/** Names what a command is about, before its token is read and its config is loaded. */
export function nameOptions({ user, group, digest, jti, sid, all: isAll }: EntryOptions): string {
  if (isAll) return 'all users';
  const names = Object.entries({ user, group, token: digest, jti, sid });
  const texts = names.flatMap(([kind, name]) => (name ? [`${kind} ${printable(name)}`] : []));
  return texts[0] ?? 'the token';
}

/** Returns the ways that are left to keep a user, a group, or the unknown user of a token out. */
export function listRemainingWays(
  context: CommandContext,
  { user, group, exact: isExact, all: isAll }: EntryOptions,
): readonly RemainingWay[] {
  const name = user ?? group;
  const pattern = name === undefined ? 'NAME' : printable(shellQuoted(name));
  const unbind: RemainingWay =
    group === undefined
      ? {
          // Not every shell takes a line with # for a comment, so it has no name that someone chose.
          effect: `immediately remove the rights of the user and of their groups: the first command shows the groups, the second finds the bindings, the third deletes a binding. A binding of a group is for all its members`,
          commands: [
            commandLine(context, ['explain', ...(user ? userWords(user, isExact) : [])]),
            `${findBindings} -e ${pattern} -e GROUP`,
            deleteBinding,
          ],
        }
      : {
          effect: `immediately remove the rights of the group: the first command finds the bindings, the second deletes a binding`,
          commands: [`${findBindings} -e ${pattern}`, deleteBinding],
        };
  const stop: RemainingWay = {
    effect:
      'let no one in by a token of this gateway, after at most 2m10s: stop all gateways. Client certificates still work',
    commands: [
      'systemctl stop sallyport',
      'kubectl -n sallyport scale deployment sallyport --replicas=0',
    ],
  };
  return isAll ? [stop] : [unbind, stop];
}

/**
 * Runs a command that works through the cache Redis. If it can't, the error says first what that means, then where and why, and then
 * which ways are left. With `-o json` the same is printed as JSON.
 *
 * @throws FixableError in place of an error of Redis, and what `work` throws
 */
export async function explainWithoutRedis<Result>(
  context: CommandContext,
  { output }: Pick<ReadOptions, 'output'>,
  effect: MissedEffect,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isOfRedis(error)) throw error;
    const problem = describeWithoutRedis(context, effect, error);
    if (output === 'json') printJson(context, problem.json);
    throw new FixableError(`${problem.effect}: ${problem.reason}`, problem.fix, { cause: error });
  }
}

/**
 * Says what it means that an entry could not be published: in words, and as JSON. The ways that are left are only for a Redis that can't
 * be used. One that answers, with a list that is full or rights that are missing, needs what its error says.
 */
export function describeWithoutRedis(
  context: CommandContext,
  { undone, doubtful = undone, ways: remainingWays = [] }: MissedEffect,
  error: unknown,
) {
  const { message: reason, fix = proposeFix(error) } = describeError(error);
  const effect = isPublishedInPart(error) ? doubtful : undone;
  const shownWays = isRedisUnusable(error) ? remainingWays : [];
  const fixes = [...(fix === undefined ? [] : [fix]), ...describeWays(context, shownWays)];
  return {
    effect,
    reason,
    fix: fixes.length === 0 ? undefined : fixes.join('\n'),
    json: { effect, reason, fix, ways: shownWays },
  };
}

function isOfRedis(error: unknown): boolean {
  return error instanceof MissingCacheRedisError || findRedisProblem(error) !== undefined;
}

function isRedisUnusable(error: unknown): boolean {
  const problem = findRedisProblem(error);
  return problem === undefined
    ? error instanceof MissingCacheRedisError
    : !['permission', 'type'].includes(problem.kind);
}

function findRedisProblem(error: unknown): RedisProblem | undefined {
  const cause = isPublishedInPart(error) ? error.cause : error;
  return cause instanceof RedisProblem ? cause : undefined;
}

/** Whether Redis failed when the entry might have been written (engine/revocation/publish.ts, confirmation.ts). */
function isPublishedInPart(error: unknown): error is FixableError {
  return error instanceof FixableError && error.cause instanceof RedisProblem;
}

function proposeFix(error: unknown): string | undefined {
  if (!isOfRedis(error)) return undefined;
  const isOfRights =
    error instanceof RedisProblem && ['permission', 'authentication'].includes(error.kind);
  if (isOfRights)
    return 'correct the username, password or rights of cache.redis (docs/redis.md#permissions), and run the command again';
  // It answers.
  const repair = findRedisProblem(error)?.kind === 'server' ? 'repair' : 'start';
  return `${repair} that Redis, or correct cache.redis, and run the command again`;
}

function describeWays(
  context: CommandContext,
  remainingWays: readonly RemainingWay[],
): readonly string[] {
  if (remainingWays.length === 0) return [];
  if (helpdeskScript(context) !== undefined)
    return [`Until then, call an administrator, who can do what ${section} says`];
  return [
    'These ways need no Redis:',
    ...remainingWays.flatMap(({ effect, commands }) => [`# ${effect}`, ...commands]),
    `# all ways, and how long each takes: ${section}`,
  ];
}

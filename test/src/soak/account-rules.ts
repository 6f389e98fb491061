/** The rules about accounts in the directory of users who prove who they are elsewhere: by a session, or by a JWT with `directory`. */
import type { Attempt, Identity, UserAct } from './history.ts';
import { grace, limits, maxLookupTime, sessionTtl } from './limits.ts';
import { forgottenAt, type Past } from './past.ts';

/** Checks that an accepted user has an account that is not disabled, and the account's groups. */
export function accountProblem(attempt: Attempt, user: Identity, past: Past): string | undefined {
  const { secret } = attempt;
  if (!followsAccount(attempt)) return undefined;
  const acts = past.actsOn(secret);
  const isDisabled = acts.some(
    (disable) =>
      disable.what === 'disable' &&
      disable.isSure &&
      attempt.begin > lastSeen(disable.end, attempt, past) &&
      !acts.some(
        ({ what, begin }) => what === 'enable' && begin >= disable.begin && begin <= attempt.end,
      ),
  );
  if (isDisabled) return 'accepted, though the account is disabled';
  if (secret.kind !== 'directory token') return undefined;
  const groups = groupsText(user.groups);
  const isRight = groupsOverTime(secret.user?.groups ?? [], acts).some(
    (state) =>
      groupsText(state.groups) === groups &&
      state.from <= attempt.end &&
      attempt.begin <= lastSeen(state.until, attempt, past),
  );
  return isRight ? undefined : `accepted with other groups than the account's: ${groups}`;
}

/** Whether an account that was disabled may still cause a refusal. */
export function mayBeDisabled(attempt: Attempt, past: Past): boolean {
  const acts = past.actsOn(attempt.secret);
  const enables = acts.filter(({ what, isSure }) => what === 'enable' && isSure);
  return acts.some(
    (disable) =>
      disable.what === 'disable' &&
      disable.begin <= attempt.end &&
      !enables.some(
        (enable) =>
          enable.begin >= disable.begin &&
          attempt.begin > lastSeen(enable.end, attempt, past) + limits.rejectedTtl,
      ),
  );
}

const followsAccount = ({ what, secret }: Attempt): boolean =>
  what === 'review' && (secret.kind === 'session' || secret.kind === 'directory token');

/** The last moment at which a review may use what the directory said before `changedAt`: docs/how-long-access-lasts.md. */
function lastSeen(changedAt: number, attempt: Attempt, past: Past): number {
  const { secret, end, replica } = attempt;
  const lifetime = secret.kind === 'session' ? limits.revalidate + sessionTtl : limits.refresh;
  const parts = ['directory', 'cache', 'tokens', 'replica'] as const;
  const isOutage = past.faultsOf(parts, [changedAt, end], replica).length > 0;
  const stale = isOutage ? limits.staleTtl : 0;
  return Math.min(
    changedAt + lifetime + maxLookupTime + grace + stale,
    forgottenAt(changedAt, secret, past),
  );
}

const groupsText = (groups: readonly string[]): string => groups.toSorted().join(' ');

/** Groups of an account, and from when until when it may have been in them. */
interface GroupsAtTime {
  readonly groups: readonly string[];
  readonly from: number;
  readonly until: number;
}

function groupsOverTime(first: readonly string[], acts: readonly UserAct[]): GroupsAtTime[] {
  const changes = acts
    .filter(({ what }) => what === 'groups')
    .toSorted((earlier, later) => earlier.begin - later.begin);
  const untilOf = (at: number) => changes.slice(at).find(({ isSure }) => isSure)?.end;
  const states = [
    { groups: first, from: Number.NEGATIVE_INFINITY },
    ...changes.map(({ groups = [], begin }) => ({ groups, from: begin })),
  ];
  return states.map((state, at) => ({ ...state, until: untilOf(at) ?? Number.POSITIVE_INFINITY }));
}

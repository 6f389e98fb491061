/** The rules about wrong passwords that reach the directory: README, "What it does"; docs/configuration.md, "lockout". */
import type { Bind } from './history.ts';
import { abandonedAfter, grace, limits, maxLookupTime, replicaCount } from './limits.ts';
import type { Past } from './past.ts';

/** Checks that a wrong password was allowed to reach the directory. One that was right before has its own attempt. */
export function bindProblem(bind: Bind, past: Past): string | undefined {
  if (isOld(bind, past)) return undefined;
  // The window ends before a busy machine has sent what was counted last.
  const since = bind.begin - limits.lockoutWindow + maxLookupTime + grace;
  const recent = past
    .bindsOf(bind.username)
    .filter((other) => !isOld(other, past) && other.begin >= since && other.begin <= bind.begin);
  const allowed = limits.maxFailures * countersOf(bind, past);
  if (recent.length > allowed)
    return `${recent.length} wrong passwords reached the directory in a window, and ${allowed} are allowed`;
  const isRepeated = recent.some(
    (other) =>
      other.secret !== undefined &&
      other.secret === bind.secret &&
      other.isAnswered &&
      // An attempt may have begun before the refusal of the other one.
      other.end < bind.begin - maxLookupTime - grace,
  );
  return isRepeated && allowed === limits.maxFailures
    ? 'a wrong password reached the directory again'
    : undefined;
}

const isOld = ({ secret }: Bind, past: Past): boolean =>
  secret !== undefined && past.madeOf(secret) !== undefined;

/** Counts those that count wrong passwords: without the cache Redis, each replica for itself, and a new one begins anew. */
function countersOf({ begin }: Bind, past: Past): number {
  const during = [begin - abandonedAfter - limits.lockoutWindow, begin + grace] as const;
  const replicas = past.faultsOf(['replica'], during).length;
  const isAlone = replicas > 0 || past.faultsOf(['cache'], during).length > 0;
  return isAlone ? replicaCount + replicas : 1;
}

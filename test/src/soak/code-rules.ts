/** The rules about codes that work once: of authenticator apps, for recovery, and of the login page. */
import type { Use } from './history.ts';
import type { Past } from './past.ts';

/** Checks the answer to a code. Refusals are not checked: a wrong code of anyone can keep a right one out. */
export function useProblem(use: Use, past: Past): string | undefined {
  const { secret, step } = use;
  if (use.answer !== 'accepted') return undefined;
  const made = past.madeOf(secret);
  if (made === undefined) return 'accepted, though it was never good';
  // docs/second-factor.md, "What happens when": a failover can undo the last changes.
  const part = secret.kind === 'page code' ? 'cache' : 'tokens';
  const accepted = past
    .usesLike(use)
    .filter(
      (other) => other !== use && other.answer === 'accepted' && !past.mayBeLost(other, part),
    );
  if (accepted.some((other) => other.secret === secret && isLater(use, other)))
    return 'accepted a second time';
  const isPassed = (other: Use) => other.end < use.begin && numberOf(other) > numberOf(use);
  if (accepted.some(isPassed)) return 'accepted after the code of a later step';
  const removals = [
    ...past.endingsOf(secret),
    ...(step === undefined ? [] : past.endingsOf(step.app)),
    ...past.actsOn(secret).filter(({ what, begin }) => what === 'reset' && made.end < begin),
  ];
  const isRemoved = removals.some(
    (removal) => removal.isSure && use.begin > removal.end && !past.mayBeLost(removal, part),
  );
  return isRemoved ? 'accepted, though its factor is removed' : undefined;
}

const numberOf = ({ step }: Use): number => step?.number ?? 0;

/** Two answers at the same time are in the order of their ends, and one of them is the later one. */
function isLater(use: Use, other: Use): boolean {
  return use.end > other.end || (use.end === other.end && use.replica > other.replica);
}

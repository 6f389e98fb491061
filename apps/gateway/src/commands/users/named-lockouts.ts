import type { GatewayConfig } from '../../config/types.ts';
import { readLockouts } from '../../engine/lockout/shared-lockouts.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { isCodeSubject } from '../../login/factors/second-factor.ts';

export type NamedLockout = Awaited<ReturnType<typeof namedLockouts>>[number];

/** Reads lockouts, with the names that Kubernetes sees. Leaves out lockouts of authenticators that the config does not have. */
export async function namedLockouts(
  redis: ProbedRedis,
  { authenticators, lockout }: GatewayConfig,
  name?: string,
) {
  const lockouts = (await readLockouts(redis, lockout)).flatMap((sharedLockout) => {
    const owner = authenticators.find((a) => a.name === sharedLockout.authenticator);
    return owner === undefined
      ? []
      : [{ ...sharedLockout, user: owner.username.prefix + sharedLockout.username }];
  });
  return name === undefined ? lockouts : lockouts.filter(({ user }) => user === name);
}

export function lockoutJson(lockout: NamedLockout): object {
  const { user, authenticator, subject, refused, isLockedOut: lockedOut } = lockout;
  const subjectJson = isCodeSubject(subject) ? { secondFactor: true } : { subject };
  const until = new Date(lockout.until);
  return { user, authenticator, ...subjectJson, refused, lockedOut, until };
}

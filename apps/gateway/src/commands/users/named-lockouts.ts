import type { GatewayConfig } from '../../config/types.ts';
import { readLockouts } from '../../engine/lockout/shared-lockouts.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { isCodeSubject } from '../../login/factors/second-factor.ts';

export type NamedLockout = Awaited<ReturnType<typeof namedLockouts>>[number];

/** Reads lockouts, with the names that Kubernetes sees. Leaves out those of authenticators that the config does not have. */
export async function namedLockouts(
  redis: ProbedRedis,
  { authenticators, lockout }: GatewayConfig,
  name?: string,
) {
  const all = (await readLockouts(redis, lockout)).flatMap((one) => {
    const owner = authenticators.find((each) => each.name === one.authenticator);
    return owner === undefined ? [] : [{ ...one, user: owner.username.prefix + one.username }];
  });
  return name === undefined ? all : all.filter(({ user }) => user === name);
}

export function lockoutJson({
  user,
  authenticator,
  subject,
  refused,
  isLockedOut,
  until,
}: NamedLockout): object {
  const of = isCodeSubject(subject) ? { secondFactor: true } : { subject };
  return { user, authenticator, ...of, refused, lockedOut: isLockedOut, until: new Date(until) };
}

/** The limits of the gateways of a soak, and what a busy machine adds to them. Times are milliseconds. */

/** The limits in the config. */
export const limits = {
  authenticatedTtl: 3_000,
  rejectedTtl: 1_000,
  staleTtl: 12_000,
  revalidate: 2_000,
  refresh: 2_000,
  lockoutWindow: 10_000,
  maxFailures: 3,
} as const;

/** The number of gateways. */
export const replicaCount = 3;

/** The answers of the sessions' authenticator are cached for this long: docs/configuration.md, "login". */
export const sessionTtl = 1_000;

/** The `timeout` of an authenticator. An answer may have this age when its lifetime begins. */
export const maxLookupTime = 3_000;

/** An attempt without an outcome holds a slot of its user for this long, then counts as refused: docs/limits.md, "Lockout guard". */
export const abandonedAfter = 60_000;

/** Writes of the last moment before a master fails may be lost: README of authenticator-redis, "Commands". */
export const replicationLag = 1_000;

/** pwdChangedTime has whole seconds: docs/limits.md, "Directories". A session from about then may go on or not. */
export const changeResolution = 2_000;

/** The time that a busy machine may add to each time. */
export const grace = 1_000;

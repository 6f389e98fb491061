/**
 * A busy machine is not an outage of Redis: these are far longer than any answer takes. `review` is for `cache.redis.timeout`, and
 * the most that it can be; `command` for a `commandTimeout` of an authenticator with the timeout `authenticator`.
 */
export const longRedisTimeouts = { review: '5s', command: '8s', authenticator: '9s' };

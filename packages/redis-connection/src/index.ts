export type { Redis, RedisClient } from './client.ts';
export { type ConnectionContext, connect } from './connect.ts';
export { type Connection, type ConnectionDependencies, openConnection } from './connection.ts';
export type { FaultKind } from './fault-kind.ts';
export { knownMasters } from './masters.ts';
export { hashUpTo, type KeptValue, readValue, stringUpTo, type ValueQuery } from './read-value.ts';
export { RedisProblem } from './redis-problem.ts';
export { nameServers } from './server-name.ts';
export type { ConnectionOptions, HostPort, Servers, Wording } from './types.ts';

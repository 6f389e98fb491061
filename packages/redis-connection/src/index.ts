export { knownMasters, type Redis, type RedisClient } from './client.ts';
export { type Connection, type ConnectionContext, connect } from './connection.ts';
export {
  type ConnectionOptions,
  type HostPort,
  nameServers,
  type Servers,
  type Wording,
} from './connection-options.ts';
export { type ProblemKind, RedisProblem } from './problems.ts';
export { hashUpTo, readValue, type StoredValue, stringUpTo, type ValueQuery } from './read-value.ts';

export { connect, type RedisConnection } from './connection.ts';
export type { ConnectionOptions, Servers, Wording } from './connection-options.ts';
export { readInfo, type ServerInfo } from './info.ts';
export { findLuaProblem } from './lua-problem.ts';
export { knownMasters, type Redis, type RedisClient } from './nodes.ts';
export { type ProblemKind, RedisProblem } from './problems.ts';
export {
  hashUpTo,
  readValue,
  type StoredValue,
  stringUpTo,
  type ValueQuery,
} from './read-value.ts';

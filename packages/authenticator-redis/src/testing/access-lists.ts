import type { LayoutName } from '../layouts.ts';

/** The minimal rights of users of Redis, as ACL files have them after the password. docs/redis.md has the same lists. */
export interface AccessLists {
  /** For logins. */
  readonly gateway: string;
  /** For logins with `trackLastUse`: the user may write those notes, and no token. The part in parentheses needs Redis 7. */
  readonly trackingGateway: string;
  /** For `sallyport token create`, `token list` and `revoke`, and for `sallyport check`, which alone needs INFO. */
  readonly issuer: string;
  /** `gateway` for sessions. */
  readonly sessionGateway: string;
  /** `issuer` for sessions. */
  readonly sessionIssuer: string;
}

const keys = 'resetkeys ~sallyport:token:* -@all';

/** The commands of a lookup besides PTTL and ECHO. */
const readCommands: Readonly<Record<LayoutName, readonly string[]>> = {
  json: ['getrange'],
  hash: ['eval_ro', 'hlen', 'hkeys', 'hstrlen', 'hgetall'],
};

/** The commands of a lookup, including those in scripts, in alphabetical order. */
export function lookUpCommands(layout: LayoutName): string[] {
  return [...readCommands[layout], 'pttl', 'echo'].sort();
}

/** The rights that a lookup needs, as ACL files have them. */
export function lookUpRights(layout: LayoutName): string[] {
  return lookUpCommands(layout).map((command) => `+${command}`);
}

const readHash = readCommands.hash.map((command) => `+${command}`).join(' ');
const notes = '(~sallyport:token:*:last-use +set)';

export const accessLists: Readonly<Record<LayoutName, AccessLists>> = {
  json: {
    gateway: `${keys} +getrange +pttl +echo`,
    trackingGateway: `${keys} +getrange +pttl +echo ${notes}`,
    issuer: `${keys} +getrange +pttl +echo +scan +set +eval +pexpire +role +wait +info`,
    sessionGateway: `${keys} +getrange +pttl +echo +pexpire`,
    sessionIssuer: `${keys} +getrange +pttl +echo +scan +set +eval +pexpire +role +wait +zadd +zrange +zrem +info`,
  },
  hash: {
    gateway: `${keys} ${readHash} +pttl +echo`,
    trackingGateway: `${keys} ${readHash} +pttl +echo ${notes}`,
    issuer: `${keys} ${readHash} +getrange +pttl +echo +scan +eval +exists +hexists +hset +pexpire +role +wait +info`,
    sessionGateway: `${keys} ${readHash} +pttl +echo +pexpire`,
    sessionIssuer: `${keys} ${readHash} +getrange +pttl +echo +scan +eval +exists +hexists +hset +pexpire +role +wait +zadd +zrange +zrem +info`,
  },
};

type Task = 'create' | 'list' | 'listLastUse' | 'revoke';

/**
 * The rights of the issuer that each task needs, including those for scripts: Redis checks the rights of the user who runs
 * them. The remaining rights are for an old Redis whose memory is full (PEXPIRE, with `json`), to learn whether replicas have
 * confirmed a revocation (ROLE, WAIT), and for `check` (INFO).
 */
export const rightsFor: Readonly<Record<LayoutName, Readonly<Record<Task, readonly string[]>>>> = {
  json: {
    create: ['set'],
    list: ['scan', 'getrange', 'pttl', 'echo'],
    listLastUse: ['scan', 'getrange', 'pttl', 'echo'],
    revoke: ['getrange', 'pttl', 'echo', 'eval', 'set'],
  },
  hash: {
    create: ['eval', 'exists', 'pexpire', 'hset'],
    list: ['scan', ...readCommands.hash, 'pttl', 'echo'],
    listLastUse: ['scan', ...readCommands.hash, 'pttl', 'echo', 'getrange'],
    revoke: [...readCommands.hash, 'pttl', 'echo', 'eval', 'exists', 'hexists', 'hset'],
  },
};

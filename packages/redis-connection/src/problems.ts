import { explainTls } from '@sallyport/plugin-kit';
import type { Wording } from './connection-options.ts';

/** The kind of a problem. It is a label of metrics, so the set is closed. */
export type ProblemKind =
  | 'timeout'
  | 'connection'
  | 'tls'
  | 'authentication'
  | 'permission'
  | 'type'
  /** The cluster as a whole does not work. */
  | 'cluster'
  /** One node of a cluster does not work, and its keys are missing. The other nodes work. */
  | 'node'
  | 'server'
  /** This machine or process ran out of a resource. This is not an outage of Redis. */
  | 'local';

/** Redis, or the connection to it, failed. The message names the servers, and no password. */
export class RedisProblem extends Error {
  override readonly name = 'RedisProblem';
  readonly kind: ProblemKind;

  constructor(kind: ProblemKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The bytes or answers that a server sent and Redis never sends. The set is closed, since messages show it. */
export type WireProblem =
  | 'an answer that no command asked for'
  | 'an answer to another command'
  | 'an answer that is too big'
  | 'bytes that are not the Redis protocol'
  | 'a redirection that names no node'
  | 'slots that no cluster has';

/** A server sent what Redis never sends. Later answers can't be matched to their commands, so the connection ends. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly problem: WireProblem;

  constructor(problem: WireProblem) {
    super(`the server sent ${problem}`);
    this.problem = problem;
  }
}

/**
 * A problem in our own words. No error of ioredis is passed on, not even as a cause: it has the command with all its
 * arguments, and those of HELLO and AUTH are passwords. Redis, too, quotes them when it does not know a command.
 */
export interface RedisProblemDetail {
  readonly kind: ProblemKind;
  readonly problem: string;
}

/** The problem when nothing else is known. */
export const closed: RedisProblemDetail = {
  kind: 'connection',
  problem: 'the connection was closed',
};

export const noAnswer: RedisProblemDetail = { kind: 'timeout', problem: 'no answer in time' };

const noTls = 'is this its tls-port, or should the URL begin with redis://?';

/** A Redis without TLS waits for the end of a line, which most handshakes do not have. */
export const noHandshake: RedisProblemDetail = {
  kind: 'timeout',
  problem: `no answer in time to the TLS handshake: ${noTls}`,
};

/** A Redis closes a connection that does not begin with a TLS handshake, without a word. */
export const closedUnanswered: RedisProblemDetail = {
  kind: 'connection',
  problem:
    'the connection was closed before it answered: is this its tls-port? Then the URL must begin with rediss://',
};

/** The problem of a cluster of which no node gave a reason. */
export const noNodeAnswers: RedisProblemDetail = {
  kind: 'cluster',
  problem: 'no node of the cluster answers',
};

/** Makes the problem of a cluster of which no node can be used. @param cause why the last node that was asked can't be used; undefined: it gave no reason */
export function noNodeUsable(cause: RedisProblemDetail | undefined): RedisProblemDetail {
  if (cause === undefined || cause === closed) return noNodeAnswers;
  const kind = cause.kind === 'local' ? 'local' : 'cluster';
  return { kind, problem: `no node of the cluster can be used: ${cause.problem}` };
}

/** One node is unreachable. The other nodes of the cluster work. */
export const nodeUnreachable: RedisProblemDetail = {
  kind: 'node',
  problem: 'the node that has this key is unreachable',
};

const noDatabase: RedisProblemDetail = {
  kind: 'server',
  problem:
    'it has no database with this number: write a lower one in url or database, or raise databases in redis.conf',
};

const noConnectionLeft: RedisProblemDetail = {
  kind: 'server',
  problem:
    'it accepts no further connection: raise maxclients in redis.conf, or stop other clients',
};

const noCluster: RedisProblemDetail = {
  kind: 'server',
  problem:
    'it is not a node of a cluster: write url in place of cluster, or set cluster-enabled yes in redis.conf',
};

const byReply: Readonly<Record<string, RedisProblemDetail>> = {
  NOAUTH: {
    kind: 'authentication',
    problem: 'it requires a password: set username and password, or put them into the url',
  },
  LOADING: { kind: 'server', problem: 'it is still loading its data' },
  BUSY: { kind: 'server', problem: 'it is busy with a script' },
  MASTERDOWN: { kind: 'server', problem: 'it is a replica that has lost its master' },
  READONLY: {
    kind: 'server',
    problem: 'it is a replica, which accepts no writes: name its primary',
  },
  OOM: {
    kind: 'server',
    problem: 'its memory is full (maxmemory): raise maxmemory, or remove other data',
  },
  MISCONF: {
    kind: 'server',
    problem: "it accepts no writes because it can't save them: see its log",
  },
  NOREPLICAS: { kind: 'server', problem: 'it accepts no writes because it has too few replicas' },
  CLUSTERDOWN: { kind: 'node', problem: 'no node of the cluster serves this key now' },
  MOVED: nodeUnreachable,
  ASK: { kind: 'node', problem: 'the cluster is moving this key' },
  TRYAGAIN: { kind: 'node', problem: 'the cluster is moving this key' },
};

const byCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused: is it running, and is this its port?',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was reset',
  ENOTFOUND: 'DNS does not know the name',
  EAI_AGAIN: 'DNS does not answer',
  ENOENT: 'the socket does not exist',
  EACCES: 'access to the socket is denied: check its owner and mode (unixsocketperm)',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to its network',
};

const descriptors =
  'raise its limit of open files (ulimit -n, LimitNOFILE), or give it fewer connections';

/** The resource that this machine ran out of. Redis may be healthy, and the next attempt may succeed. */
const byShortage: Readonly<Record<string, string>> = {
  EMFILE: `this process has no file descriptor left (EMFILE): ${descriptors}`,
  ENFILE:
    'this machine has no file descriptor left (ENFILE): raise fs.file-max, or stop processes with many open files',
  ENOBUFS:
    'this machine has no memory left for connections (ENOBUFS): give it more, or fewer connections',
  ENOMEM: 'this machine has no memory left (ENOMEM): give it more, or raise its limit',
  EADDRNOTAVAIL:
    'this machine has no local address or port left for a connection (EADDRNOTAVAIL): check its addresses and net.ipv4.ip_local_port_range',
  // getaddrinfo returns this when it can't open a socket or /etc/resolv.conf.
  EBUSY: `this process could not ask DNS (EBUSY), most likely because it has no file descriptor left: ${descriptors}`,
  EAI_MEMORY:
    'this machine has no memory left to ask DNS (EAI_MEMORY): give it more, or raise its limit',
};

/** The parts of messages that are not in the error. */
export interface ProblemTerms {
  /** The name or address that a certificate must have. */
  readonly name: string;
  readonly wording: Wording;
}

/** A problem of an attempt to connect. @param isInHandshake the server has accepted the connection, and TLS is not there yet */
export function problemOfAttempt(
  error: unknown,
  isInHandshake: boolean,
  terms: ProblemTerms,
): RedisProblemDetail {
  const problem = describeProblem(error, terms);
  if (!isInHandshake) return problem;
  if (problem === noAnswer) return noHandshake;
  if (!isEndOfConnection(error)) return problem;
  return { kind: 'tls', problem: explainTls(error, { name: terms.name, noTls }).problem };
}

/** Whether the other side ended the connection. */
export function isEndOfConnection(error: unknown): error is Error {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

/**
 * The alert that OpenSSL 3 sends to a client that ends its connection without a close_notify, as ioredis does after a refusal
 * (SSL_R_UNEXPECTED_EOF_WHILE_READING). If it still arrives, it must not hide why the connection was ended.
 */
const endOfTls = /^ERR_SSL_.*ALERT_DECODE_ERROR$/;

export function describeProblem(error: unknown, terms: ProblemTerms): RedisProblemDetail {
  const { name, wording } = terms;
  if (!(error instanceof Error)) return { kind: 'server', problem: 'it failed in an unknown way' };
  if (error instanceof RedisProblem) return { kind: error.kind, problem: error.message };
  if (error instanceof WireError) {
    const problem = `it sent ${error.problem}, and the connection was ended: check that this is the port of a Redis, and that no proxy is between`;
    return { kind: 'connection', problem };
  }
  const { message } = error;
  const { code } = error as NodeJS.ErrnoException;
  const reply = /^-?(?<word>[A-Z][A-Z0-9]+)\b/.exec(message)?.groups?.word ?? '';
  if (isReplyError(error)) return replyProblem(reply, error, wording);
  if (/^(Command timed out|Socket timeout|timeout$)/.test(message) || code === 'ETIMEDOUT')
    return noAnswer;
  const shortage = findShortage(error);
  if (shortage !== undefined) return { kind: 'local', problem: shortage };
  if (/sentinels are unreachable/.test(message)) return sentinelProblem(message);
  if (/^Too many Cluster redirections/.test(message)) return nodeUnreachable;
  if (code !== undefined && Object.hasOwn(byCode, code))
    return { kind: 'connection', problem: byCode[code] ?? code };
  if (code !== undefined && endOfTls.test(code)) return closed;
  if (
    code !== undefined &&
    /^(ERR_SSL|ERR_TLS|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/.test(code)
  ) {
    return { kind: 'tls', problem: explainTls(error, { name, noTls }).problem };
  }
  if (/all slots|startup nodes|slots cache/i.test(message)) {
    const { lastNodeError } = error as { readonly lastNodeError?: unknown };
    return noNodeUsable(
      lastNodeError instanceof Error ? describeProblem(lastNodeError, terms) : undefined,
    );
  }
  return code === undefined
    ? closed
    : { kind: 'connection', problem: `the connection failed (${code})` };
}

/** ioredis quotes the error of a sentinel in its own message, and has that of a cluster's node in a property. */
function findShortage(error: Error): string | undefined {
  const { code, lastNodeError } = error as NodeJS.ErrnoException & {
    readonly lastNodeError?: unknown;
  };
  if (lastNodeError instanceof Error) return findShortage(lastNodeError);
  const quoted = / Last error: (?:connect|getaddrinfo) (?<code>[A-Z_]+)\b/.exec(error.message)
    ?.groups?.code;
  const shortageCode = code ?? quoted ?? '';
  return Object.hasOwn(byShortage, shortageCode) ? byShortage[shortageCode] : undefined;
}

/** @param error its message may quote passwords: only the name of a command is used */
function replyProblem(
  word: string,
  error: Error,
  { minimalAcl, wrongType }: Wording,
): RedisProblemDetail {
  const { message } = error;
  // Redis has another message for commands in scripts.
  if (word === 'NOPERM' || /^ERR ACL failure in script/.test(message)) {
    const command = / run the '(?<command>[a-z|_-]{1,32})' command/.exec(message)?.groups?.command;
    const subject = command === undefined ? refusedKey(error) : ` (${command.toUpperCase()})`;
    return {
      kind: 'permission',
      problem: `the user is not allowed to do this${subject}: compare its ACL with ${minimalAcl}`,
    };
  }
  if (word === 'WRONGPASS') {
    return {
      kind: 'authentication',
      problem: `it refuses the username or the password, or the user is disabled: create the user, or correct the password: ${minimalAcl}`,
    };
  }
  if (word === 'WRONGTYPE')
    return { kind: 'type', problem: `the value is of another type ${wrongType}` };
  if (/^ERR max number of clients reached/.test(message)) return noConnectionLeft;
  if (/^ERR This instance has cluster support disabled/.test(message)) return noCluster;
  const problem = /^ERR DB index is out of range/.test(message) ? noDatabase : byReply[word];
  return problem ?? { kind: 'server', problem: `it answers ${word || 'an error'}` };
}

/** The position of the first key in the arguments, for commands that have a key and no secret. */
const firstKey: Readonly<Record<string, number>> = {
  get: 0,
  getrange: 0,
  hmget: 0,
  hgetall: 0,
  hlen: 0,
  set: 0,
  hset: 0,
  hdel: 0,
  del: 0,
  unlink: 0,
  pttl: 0,
  pexpire: 0,
  eval: 2,
  evalsha: 2,
  eval_ro: 2,
  evalsha_ro: 2,
};

const digestAtEnd = /^([\w:{}.-]{1,100}?)[0-9a-f]{64}/;
const digestInPart = /^((?:[\w{}.-]{1,60}:){1,6})\{?[\w-]{32}/;
/** Keys without a digest, which have one hash tag for all of them. */
const withHashTag = /^((?:[\w.-]{1,60}:){0,6}\{[a-z]{1,40}\}:)[a-z\d-]{1,40}$/;

/** Names the command that may not use a key, and the pattern of such keys: a digest in a key stands for all others. */
function refusedKey(error: Error): string {
  const { name = '', args = [] } =
    (error as Partial<Record<'command', { name?: string; args?: unknown[] }>>).command ?? {};
  const command = name.toLowerCase();
  const key = Object.hasOwn(firstKey, command) ? args[firstKey[command] ?? 0] : undefined;
  const text = typeof key === 'string' ? key : '';
  const [, prefix] =
    digestAtEnd.exec(text) ?? digestInPart.exec(text) ?? withHashTag.exec(text) ?? [];
  return prefix === undefined ? '' : ` (${command.toUpperCase()} on keys ${prefix}*)`;
}

/** @param message quotes the error of the last sentinel */
function sentinelProblem(message: string): RedisProblemDetail {
  if (!/NOAUTH|WRONGPASS/.test(message)) {
    const problem =
      'no sentinel names a master: are they running, and do they know it by this name?';
    return { kind: 'connection', problem };
  }
  const problem = 'the sentinels refuse the login: check sentinelUsername and sentinelPassword';
  return { kind: 'authentication', problem };
}

/** Whether Redis itself answered with this error. All others come from the connection. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

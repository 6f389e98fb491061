import { explainTls } from '@sallyport/plugin-options';
import type { FaultKind } from './fault-kind.ts';
import { RedisProblem } from './redis-problem.ts';
import type { Wording } from './types.ts';
import { WireError } from './wire-error.ts';

/**
 * What went wrong, in our words. Nothing of an error of ioredis goes on from here, not even as a cause: it carries the
 * command with all its arguments, and those of HELLO and AUTH are passwords; and Redis quotes them in what it says of a
 * command that it does not know.
 */
export interface RedisFault {
  readonly kind: FaultKind;
  readonly problem: string;
}

/** The rest of the cluster goes on. */
export const nodeNotReached: RedisFault = { kind: 'node', problem: 'the node that has this key is not reached' };

const byReply: Readonly<Record<string, RedisFault>> = {
  NOAUTH: {
    kind: 'authentication',
    problem: 'it asks for a password: give username and password, or put them into the url',
  },
  WRONGPASS: { kind: 'authentication', problem: 'it refuses the username or the password, or the user is off' },
  LOADING: { kind: 'server', problem: 'it is still loading its data' },
  BUSY: { kind: 'server', problem: 'it is busy with a script' },
  MASTERDOWN: { kind: 'server', problem: 'it is a replica that has lost its master' },
  READONLY: { kind: 'server', problem: 'it is a replica, which takes no writes' },
  OOM: { kind: 'server', problem: 'its memory is full (maxmemory)' },
  MISCONF: { kind: 'server', problem: 'it takes no writes because it can not save them: look at its log' },
  NOREPLICAS: { kind: 'server', problem: 'it takes no writes because too few replicas follow it' },
  CLUSTERDOWN: { kind: 'node', problem: 'no node of the cluster serves this key now' },
  MOVED: nodeNotReached,
  ASK: { kind: 'node', problem: 'the cluster is moving this key' },
  TRYAGAIN: { kind: 'node', problem: 'the cluster is moving this key' },
};

const byCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused: is it running, and is this its port?',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTFOUND: 'the name is not known to DNS',
  EAI_AGAIN: 'DNS does not answer',
  ENOENT: 'there is no such socket',
  EACCES: 'the socket may not be used: look at its owner and mode (unixsocketperm)',
  ETIMEDOUT: 'no connection in time',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to its network',
};

const descriptors = 'raise its limit of open files (ulimit -n, LimitNOFILE), or give it fewer connections';

/** What this machine ran short of. Redis may be well, and an attempt in a moment may succeed. */
const byShortage: Readonly<Record<string, string>> = {
  EMFILE: `this process has no file descriptor left (EMFILE): ${descriptors}`,
  ENFILE: 'this machine has no file descriptor left (ENFILE): raise fs.file-max, or end what holds so many',
  ENOBUFS: 'this machine has no memory left for connections (ENOBUFS): give it more, or fewer connections',
  ENOMEM: 'this machine has no memory left (ENOMEM): give it more, or raise its limit',
  EADDRNOTAVAIL:
    'this machine has no local address or port left for a connection (EADDRNOTAVAIL): look at its addresses and at net.ipv4.ip_local_port_range',
  // What getaddrinfo says when it can't open a socket or /etc/resolv.conf.
  EBUSY: `this process could not ask DNS (EBUSY), most likely because it has no file descriptor left: ${descriptors}`,
  EAI_MEMORY: 'this machine has no memory left to ask DNS (EAI_MEMORY): give it more, or raise its limit',
};

const noTls = 'is this its tls-port, or should the URL begin with redis://?';

/** What faults are told with. */
export interface FaultTerms {
  /** The name or address that a certificate must have. */
  readonly name: string;
  readonly wording: Wording;
}

export function faultOf(error: unknown, { name, wording }: FaultTerms): RedisFault {
  if (!(error instanceof Error)) return { kind: 'server', problem: 'it failed in an unknown way' };
  if (error instanceof RedisProblem) return { kind: error.kind, problem: error.message };
  if (error instanceof WireError) {
    const problem = `it sent ${error.offence}, and the connection was ended: is this the port of a Redis, and what is between?`;
    return { kind: 'connection', problem };
  }
  const { message } = error;
  const { code } = error as NodeJS.ErrnoException;
  const reply = /^-?(?<word>[A-Z][A-Z0-9]+)\b/.exec(message)?.groups?.word ?? '';
  if (isReplyError(error)) return replyFault(reply, message, wording);
  if (/^(Command timed out|Socket timeout)/.test(message) || code === 'ETIMEDOUT') {
    return { kind: 'timeout', problem: 'no answer in time' };
  }
  const shortage = shortageOf(error);
  if (shortage !== undefined) return { kind: 'local', problem: shortage };
  if (/sentinels are unreachable/.test(message)) return sentinelFault(message);
  if (/^Too many Cluster redirections/.test(message)) return nodeNotReached;
  if (code !== undefined && Object.hasOwn(byCode, code)) return { kind: 'connection', problem: byCode[code] ?? code };
  if (code !== undefined && /^(ERR_SSL|ERR_TLS|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/.test(code)) {
    return { kind: 'tls', problem: explainTls(error, { name, noTls }).problem };
  }
  if (/all slots|startup nodes|slots cache/i.test(message))
    return { kind: 'cluster', problem: 'no node of the cluster answers' };
  return {
    kind: 'connection',
    problem: code === undefined ? 'the connection was closed' : `the connection failed (${code})`,
  };
}

/** ioredis puts the error of a sentinel into its own message, and the error of a cluster's node into a property. */
function shortageOf(error: Error): string | undefined {
  const { code, lastNodeError } = error as NodeJS.ErrnoException & { readonly lastNodeError?: unknown };
  if (lastNodeError instanceof Error) return shortageOf(lastNodeError);
  const quoted = / Last error: (?:connect|getaddrinfo) (?<code>[A-Z_]+)\b/.exec(error.message)?.groups?.code;
  const known = code ?? quoted ?? '';
  return Object.hasOwn(byShortage, known) ? byShortage[known] : undefined;
}

/** @param message of which nothing goes on but the name of a command */
function replyFault(word: string, message: string, { leastAcl, wrongType }: Wording): RedisFault {
  // Of a command in a script Redis says the same in other words.
  if (word === 'NOPERM' || /^ERR ACL failure in script/.test(message)) {
    const command = / run the '(?<command>[a-z|_-]{1,32})' command/.exec(message)?.groups?.command;
    const what = command === undefined ? '' : ` (${command.toUpperCase()})`;
    return { kind: 'permission', problem: `the user may not do this${what}: look at its ACL, and at ${leastAcl}` };
  }
  if (word === 'WRONGTYPE') return { kind: 'type', problem: `the value is of another type ${wrongType}` };
  if (/^ERR DB index is out of range/.test(message)) {
    return { kind: 'server', problem: 'it has no database of this number: look at database, and at its databases' };
  }
  return byReply[word] ?? { kind: 'server', problem: `it answers ${word || 'an error'}` };
}

/** @param message quotes what the last sentinel said */
function sentinelFault(message: string): RedisFault {
  if (/NOAUTH|WRONGPASS/.test(message)) {
    return {
      kind: 'authentication',
      problem: 'the sentinels refuse the login: look at sentinelUsername and sentinelPassword',
    };
  }
  return {
    kind: 'connection',
    problem: 'no sentinel names a master: are they running, and do they know it by this name?',
  };
}

/** What Redis itself answered; whatever else was thrown came from the way to it. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

import { collide, isLoopback } from './listen.ts';
import { loginRules } from './login-rules.ts';
import { type Path, type Problem, valueAt } from './problems.ts';
import type { Broken, Rule } from './rule.ts';
import type { AuthenticatorSettings, FileConfig, TlsSettings } from './types.ts';

/**
 * Checks what no value shows alone.
 *
 * @param file what could be read of the file: a value may be anything where `isGood` is false
 * @param written the same file as it is written: messages repeat its own units
 */
export function checkRules(file: FileConfig, written: unknown, isGood: (path: Path) => boolean): Problem[] {
  const { authenticators } = file;
  const rules = [
    ...serverRules(file, written),
    cacheTimeoutRule(file, written),
    ...(Array.isArray(authenticators) ? loginRules(file) : []),
    ...(Array.isArray(authenticators) ? authenticatorRules(file, written, isGood) : []),
  ];
  return rules.flatMap(({ reads, judge }) => {
    const problem = reads.every(isGood) ? judge() : undefined;
    return problem === undefined ? [] : [{ path: reads[0], ...problem }];
  });
}

const listen: Path = ['server', 'listen'];
const tls: Path = ['server', 'tls'];
const reviewTimeout: Path = ['server', 'reviewTimeout'];
const maxInFlight: Path = ['server', 'maxInFlight'];

function serverRules(file: FileConfig, written: unknown): Rule[] {
  return [
    {
      reads: [listen, tls],
      judge() {
        if (file.server.tls !== undefined || isLoopback(file.server.listen.host)) return undefined;
        return {
          message: 'tokens would cross the network in clear: plain HTTP is for loopback only',
          fix: 'add server.tls, or listen on 127.0.0.1 or [::1]',
        };
      },
    },
    { reads: [tls], judge: () => file.server.tls && judgeClients(file.server.tls) },
    {
      reads: [
        ['server', 'maxTokenSize'],
        ['server', 'maxBodySize'],
      ],
      judge() {
        const { maxTokenSize, maxBodySize } = file.server;
        if (maxTokenSize < maxBodySize) return undefined;
        const token = asWritten(written, ['server', 'maxTokenSize'], maxTokenSize, sizes);
        const body = asWritten(written, ['server', 'maxBodySize'], maxBodySize, sizes);
        return {
          message: `a token of ${token} does not fit into a body of server.maxBodySize (${body})`,
          fix: 'lower it, or raise server.maxBodySize',
        };
      },
    },
    {
      reads: [['admin', 'listen'], listen],
      judge() {
        if (!collide(file.server.listen, file.admin.listen)) return undefined;
        return { message: 'is the address of server.listen too', fix: 'give it another port' };
      },
    },
  ];
}

function judgeClients({ clientCAFile, clientNames, clientAuth }: TlsSettings): Broken | undefined {
  const problem = (key: string | undefined, message: string, fix: string): Broken => {
    return { path: key === undefined ? tls : [...tls, key], message, fix, at: 'key' };
  };
  if (clientAuth === 'none') {
    if (clientCAFile === undefined && clientNames === undefined) return undefined;
    return problem('clientAuth', '"none" contradicts clientCAFile and clientNames', 'keep the one or the others');
  }
  if (clientCAFile !== undefined && clientNames !== undefined) return undefined;
  if (clientCAFile !== undefined) {
    const message = 'alone lets in every certificate of that CA, each kubelet too';
    return problem('clientCAFile', message, 'add clientNames: [kube-apiserver]');
  }
  if (clientNames !== undefined) {
    return problem('clientNames', 'need a CA: without one, anyone can make such a certificate', 'add clientCAFile');
  }
  const fix = 'set clientCAFile and clientNames, or set clientAuth: none explicitly';
  return problem(undefined, 'no client authentication is configured', fix);
}

function cacheTimeoutRule(file: FileConfig, written: unknown): Rule {
  const path: Path = ['cache', 'redis', 'timeout'];
  return {
    reads: [path, reviewTimeout],
    judge() {
      const timeout = file.cache.redis?.timeout;
      return timeout === undefined ? undefined : judgeTimeout(file, path, timeout, 'authenticators', written);
    },
  };
}

function judgeTimeout(file: FileConfig, path: Path, timeout: number, others: string, written: unknown) {
  const most = file.server.reviewTimeout;
  if (timeout < most) return undefined;
  const own = asWritten(written, path, timeout, durations);
  const bound = asWritten(written, reviewTimeout, most, durations);
  return {
    message: `${own} is not less than server.reviewTimeout (${bound}): it would leave ${others} no time`,
    fix: 'lower it, or raise server.reviewTimeout',
  };
}

function authenticatorRules(file: FileConfig, written: unknown, isGood: (path: Path) => boolean): Rule[] {
  const { authenticators } = file;
  const at = (index: number, key: string): Path => ['authenticators', index, key];
  const entries = [...authenticators.keys()];
  return [
    ...entries.flatMap((index): Rule[] => [
      {
        reads: [at(index, 'name')],
        judge() {
          const name = authenticators[index]?.name;
          const first = entries.findIndex((one) => isGood(at(one, 'name')) && authenticators[one]?.name === name);
          if (first === index) return undefined;
          return {
            message: `"${name}" is the name of authenticators[${first}] too`,
            fix: 'names identify authenticators in metrics and logs: give it another',
          };
        },
      },
      {
        reads: [at(index, 'timeout'), reviewTimeout],
        judge() {
          const { timeout } = authenticators[index] as AuthenticatorSettings;
          return judgeTimeout(file, at(index, 'timeout'), timeout, 'the next authenticators', written);
        },
      },
      {
        reads: [at(index, 'maxConcurrent'), maxInFlight],
        judge: () => judgeConcurrency(authenticators[index]?.maxConcurrent, file.server.maxInFlight),
      },
    ]),
    {
      reads: [maxInFlight, ...entries.map((index) => at(index, 'maxConcurrent'))],
      judge: () => judgeConcurrencyTogether(authenticators, file.server.maxInFlight),
    },
  ];
}

/** Authenticators that hang must never take every slot, or healthy ones could answer no one. */
function judgeConcurrency(own: number | undefined, most: number): Broken | undefined {
  if (own === undefined || own < most) return undefined;
  return {
    message: `${own} is not less than server.maxInFlight (${most}): if this authenticator hangs, it alone could take every slot and block the others`,
    fix: 'lower it, or raise server.maxInFlight',
  };
}

function judgeConcurrencyTogether(authenticators: readonly AuthenticatorSettings[], most: number): Broken | undefined {
  if (authenticators.some(({ maxConcurrent }) => judgeConcurrency(maxConcurrent, most))) return undefined;
  const limits = concurrencyLimits(authenticators, most);
  const sum = limits.reduce((total, limit) => total + limit, 0);
  if (sum < most) return undefined;
  const first = authenticators.findIndex(({ maxConcurrent }) => maxConcurrent !== undefined);
  return {
    ...(first >= 0 && { path: ['authenticators', first, 'maxConcurrent'] }),
    message: `the authenticators may have ${limits.join(' + ')} = ${sum} lookups in progress (maxConcurrent), which is not less than server.maxInFlight (${most}): if all of them hang, they take every slot`,
    fix: `${first < 0 ? 'raise it' : 'lower maxConcurrent of one, or raise server.maxInFlight'} to more than ${sum}`,
  };
}

/**
 * How many lookups each authenticator may have in progress: its `maxConcurrent`. Left out, it is an equal share of
 * `server.maxInFlight`, one share left free: then authenticators that hang never take every slot, not even all of
 * them at once. At most 100, at least 1.
 */
export function concurrencyLimits(
  authenticators: readonly Pick<AuthenticatorSettings, 'maxConcurrent'>[],
  maxInFlight: number,
): number[] {
  const share = Math.floor(maxInFlight / (authenticators.length + 1));
  return authenticators.map(({ maxConcurrent }) => maxConcurrent ?? Math.max(1, Math.min(100, share)));
}

/**
 * How many lookups each authenticator may queue: an equal share of what the limits leave of `server.maxInFlight`, less
 * one. So authenticators that hang never take every slot of the server, queues included.
 */
export function queueLimit(limits: readonly number[], maxInFlight: number): number {
  const left = maxInFlight - 1 - limits.reduce((total, limit) => total + limit, 0);
  return Math.max(0, Math.floor(left / limits.length));
}

const durations = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
const sizes = { GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024, B: 1 };

/** Formats a duration or a size as the file has it, or, when the file leaves it out, in the biggest unit that fits. */
function asWritten(file: unknown, path: Path, value: number, units: Readonly<Record<string, number>>): string {
  const written = valueAt(file, path);
  if (typeof written === 'string') return written;
  const [unit, length] = Object.entries(units).find(([, one]) => value % one === 0) ?? ['', 1];
  return `${value / length}${unit}`;
}

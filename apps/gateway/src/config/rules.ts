import { asWritten } from './as-written.ts';
import type { AuthenticatorSettings, FileConfig, ServerSettings } from './file-config.ts';
import { collide, isLoopback } from './listen.ts';
import { lookupPlaces } from './lookup-places.ts';
import type { Path, Problem } from './problems.ts';

/** A problem between values: it stands at the first one's place, and is no problem if another of them is wrong by itself. */
export interface RuleProblem extends Problem {
  readonly because: readonly Path[];
}

/**
 * What each value alone can't tell.
 *
 * @param written the same file as it is written: messages repeat its own units
 */
export function checkRules({ server, admin, authenticators, cache }: FileConfig, written: unknown): RuleProblem[] {
  return [
    ...checkListen(server),
    ...checkClients(server),
    ...checkSizes(server, written),
    ...(collide(server.listen, admin.listen)
      ? [
          {
            path: ['admin', 'listen'],
            because: [['server', 'listen']],
            message: 'is the address of server.listen too',
            fix: 'give it another port',
          },
        ]
      : []),
    ...checkNames(authenticators),
    ...authenticators.flatMap((authenticator, index) => checkTimeout(authenticator, index, server, written)),
    ...checkPlaces(authenticators, server.maxInFlight),
    ...checkCacheTimeout(cache, server, written),
  ];
}

function checkListen({ listen, tls }: ServerSettings): RuleProblem[] {
  if (tls !== undefined || isLoopback(listen.host)) return [];
  return [
    {
      path: ['server', 'listen'],
      because: [['server', 'tls']],
      message: 'tokens would cross the network in clear: plain HTTP is for loopback only',
      fix: 'add server.tls, or listen on 127.0.0.1 or [::1]',
    },
  ];
}

function checkClients({ tls }: ServerSettings): RuleProblem[] {
  if (tls === undefined) return [];
  const path = ['server', 'tls'];
  const key = (name: string) => [...path, name];
  const problem = (name: string | undefined, message: string, fix: string): RuleProblem[] => [
    {
      path: name === undefined ? path : key(name),
      because: [key('clientCAFile'), key('clientNames'), key('clientAuth')],
      message,
      fix,
      at: 'key',
    },
  ];
  if (tls.clientAuth === 'none') {
    if (tls.clientCAFile === undefined && tls.clientNames === undefined) return [];
    return problem('clientAuth', '"none" contradicts clientCAFile and clientNames', 'keep the one or the others');
  }
  if (tls.clientCAFile !== undefined && tls.clientNames !== undefined) return [];
  if (tls.clientCAFile !== undefined) {
    return problem(
      'clientCAFile',
      'alone lets in every certificate of that CA, each kubelet too',
      'add clientNames: [kube-apiserver]',
    );
  }
  if (tls.clientNames !== undefined) {
    return problem('clientNames', 'can be trusted of a known CA only', 'add clientCAFile');
  }
  return problem(
    undefined,
    'does not say which clients may ask',
    'add clientCAFile and clientNames, or say clientAuth: none aloud',
  );
}

function checkSizes({ maxTokenSize, maxBodySize }: ServerSettings, written: unknown): RuleProblem[] {
  if (maxTokenSize < maxBodySize) return [];
  const token = asWritten(written, ['server', 'maxTokenSize'], maxTokenSize, 'size');
  const body = asWritten(written, ['server', 'maxBodySize'], maxBodySize, 'size');
  return [
    {
      path: ['server', 'maxTokenSize'],
      because: [['server', 'maxBodySize']],
      message: `a token of ${token} does not fit into a body of server.maxBodySize (${body})`,
      fix: 'lower it, or raise server.maxBodySize',
    },
  ];
}

function checkNames(authenticators: readonly AuthenticatorSettings[]): RuleProblem[] {
  return authenticators.flatMap(({ name }, index) => {
    const first = authenticators.findIndex((other) => other.name === name);
    if (first === index) return [];
    return [
      {
        path: ['authenticators', index, 'name'],
        because: [['authenticators', first, 'name']],
        message: `"${name}" is the name of authenticators[${first}] too`,
        fix: 'names tell authenticators apart in metrics and logs: give it another',
      },
    ];
  });
}

function checkTimeout(
  { timeout }: AuthenticatorSettings,
  index: number,
  { reviewTimeout }: ServerSettings,
  written: unknown,
): RuleProblem[] {
  if (timeout < reviewTimeout) return [];
  const path: Path = ['authenticators', index, 'timeout'];
  return [
    {
      path,
      because: [['server', 'reviewTimeout']],
      message: `${notLess(path, timeout, reviewTimeout, written)}: it would leave the next ones no time`,
      fix: 'lower it, or raise server.reviewTimeout',
    },
  ];
}

function checkCacheTimeout(
  { redis }: FileConfig['cache'],
  { reviewTimeout }: ServerSettings,
  written: unknown,
): RuleProblem[] {
  if (redis === undefined || redis.timeout < reviewTimeout) return [];
  const path: Path = ['cache', 'redis', 'timeout'];
  return [
    {
      path,
      because: [['server', 'reviewTimeout']],
      message: `${notLess(path, redis.timeout, reviewTimeout, written)}: it would leave authenticators no time`,
      fix: 'lower it, or raise server.reviewTimeout',
    },
  ];
}

function notLess(path: Path, timeout: number, reviewTimeout: number, written: unknown): string {
  const bound = asWritten(written, ['server', 'reviewTimeout'], reviewTimeout, 'duration');
  return `${asWritten(written, path, timeout, 'duration')} is not less than server.reviewTimeout (${bound})`;
}

/** Authenticators that hang must never take every place, or those that are well could answer nobody. */
function checkPlaces(authenticators: readonly AuthenticatorSettings[], maxInFlight: number): RuleProblem[] {
  const tooMany = authenticators.flatMap(({ maxConcurrent }, index): RuleProblem[] => {
    if (maxConcurrent === undefined || maxConcurrent < maxInFlight) return [];
    return [
      {
        path: ['authenticators', index, 'maxConcurrent'],
        because: [['server', 'maxInFlight']],
        message: `${maxConcurrent} is not less than server.maxInFlight, ${maxInFlight}: hung, this authenticator alone could take every place and keep the others from answering`,
        fix: 'lower it, or raise server.maxInFlight',
      },
    ];
  });
  return tooMany.length > 0 ? tooMany : checkPlacesTogether(authenticators, maxInFlight);
}

function checkPlacesTogether(authenticators: readonly AuthenticatorSettings[], maxInFlight: number): RuleProblem[] {
  const places = lookupPlaces(authenticators, maxInFlight);
  const sum = places.reduce((total, count) => total + count, 0);
  if (sum < maxInFlight) return [];
  const all = authenticators.map((_, index): Path => ['authenticators', index, 'maxConcurrent']);
  const first = authenticators.findIndex(({ maxConcurrent }) => maxConcurrent !== undefined);
  const bound: Path = ['server', 'maxInFlight'];
  return [
    {
      path: all[first] ?? bound,
      because: [bound, ...all],
      message: `the authenticators may have ${places.join(' + ')} = ${sum} lookups under way (maxConcurrent), which is not less than server.maxInFlight, ${maxInFlight}: hung together they would take every place`,
      fix: `${first < 0 ? 'raise it' : 'lower maxConcurrent of one, or raise server.maxInFlight'} to more than ${sum}`,
    },
  ];
}

import { isLoopback } from '@sallyport/plugin-kit';
import { collide } from './listen.ts';
import { isObject, type Path, type Problem, valueAt } from './problems.ts';
import { type FileConfig, fileJsonSchema } from './schema.ts';

/** A Rule is what one value demands of others. */
interface Rule {
  /** The values that it needs. It is checked if each of them is valid by itself. */
  readonly reads: readonly [Path, ...Path[]];
  /** Returns what breaks the rule. A problem without a path is at the first value that the rule reads. */
  readonly check: () => (Omit<Problem, 'path'> & { readonly path?: Path }) | false | undefined;
}

/**
 * Checks the rules between values.
 *
 * @param file what could be read of the file: a value may be anything if `isValid` is false
 * @param written the same file as it is written: messages repeat its own units
 */
export function checkRules(
  file: FileConfig,
  written: unknown,
  isValid: (path: Path) => boolean,
): Problem[] {
  const rules = [
    clearTextRule(file, 'server', 'tokens'),
    clearTextRule(file, 'login', 'passwords'),
    addressRule(file, 'admin', 'server'),
    addressRule(file, 'login', 'server'),
    addressRule(file, 'login', 'admin'),
    lessRule(
      file,
      written,
      at('server.maxTokenSize'),
      'server.maxBodySize',
      'a token has to fit into a body',
    ),
    lessRule(
      file,
      written,
      at('cache.redis.timeout'),
      'server.reviewTimeout',
      'authenticators would have no time',
    ),
    ...(Array.isArray(file.authenticators)
      ? [...authenticatorRules(file, written, isValid), slotRule(file), ...loginRules(file)]
      : []),
  ];
  return rules.flatMap(({ reads, check }) => {
    const problem = reads.every(isValid) && check();
    return problem ? [{ path: reads[0], ...problem }] : [];
  });
}

/** Splits keys such as `server.listen`. */
function at(keys: string): Path {
  return keys.split('.');
}

function ofEntry(index: number, keys: string): Path {
  return ['authenticators', index, ...at(keys)];
}

function clearTextRule(file: FileConfig, section: 'server' | 'login', secrets: string): Rule {
  return {
    reads: [at(`${section}.listen`), at(`${section}.tls`)],
    check() {
      const { tls, listen } = file[section] ?? {};
      if (tls !== undefined || listen === undefined || isLoopback(listen.host)) return undefined;
      return {
        message: `${secrets} would cross the network in clear: plain HTTP is for loopback only`,
        fix: `add ${section}.tls, or listen on 127.0.0.1 or [::1]`,
      };
    },
  };
}

function addressRule(
  file: FileConfig,
  section: 'admin' | 'login',
  other: 'server' | 'admin',
): Rule {
  return {
    reads: [at(`${section}.listen`), at(`${other}.listen`)],
    check() {
      const listen = file[section]?.listen;
      if (listen === undefined || !collide(listen, file[other].listen)) return undefined;
      return { message: `is the address of ${other}.listen too`, fix: 'give it another port' };
    },
  };
}

/** Makes the rule that a value is less than another one. @param limit the keys of the other one */
function lessRule(
  file: FileConfig,
  written: unknown,
  path: Path,
  limit: string,
  why: string,
): Rule {
  return {
    reads: [path, at(limit)],
    check() {
      const [value, bound] = [valueAt(file, path), valueAt(file, at(limit))];
      if (typeof value !== 'number' || value < Number(bound)) return undefined;
      return {
        message: `${asWritten(written, path)} is not less than ${limit} (${asWritten(written, at(limit))}): ${why}`,
        fix: `lower it, or raise ${limit}`,
      };
    },
  };
}

/** Returns a value as the file has it, with its unit. For one that is left out, it returns the default of the schema. */
function asWritten(file: unknown, path: Path): unknown {
  const inSchema = path.flatMap((step) =>
    typeof step === 'number' ? ['items'] : ['properties', step],
  );
  return valueAt(file, path) ?? valueAt(fileJsonSchema(), [...inSchema, 'default']);
}

function authenticatorRules(
  file: FileConfig,
  written: unknown,
  isValid: (path: Path) => boolean,
): Rule[] {
  const { authenticators } = file;
  return [...authenticators.keys()].flatMap((index): Rule[] => [
    {
      reads: [ofEntry(index, 'name')],
      check() {
        const name = authenticators[index]?.name;
        const first = authenticators.findIndex(
          (one, place) => one?.name === name && isValid(ofEntry(place, 'name')),
        );
        if (first === index) return undefined;
        return {
          message: `"${name}" is the name of authenticators[${first}] too`,
          fix: 'names identify authenticators in metrics and logs: give it another',
        };
      },
    },
    systemPrefixRule(file, index, 'username'),
    systemPrefixRule(file, index, 'groups'),
    lessRule(file, written, ofEntry(index, 'timeout'), 'server.reviewTimeout', timeLeft),
    lessRule(file, written, ofEntry(index, 'maxConcurrent'), 'server.maxInFlight', slotsLeft),
  ]);
}

/** Refuses a prefix with which no one would be let in, which only the log would show. */
function systemPrefixRule(
  { authenticators }: FileConfig,
  index: number,
  key: 'username' | 'groups',
): Rule {
  return {
    reads: [ofEntry(index, `${key}.prefix`), ofEntry(index, 'allowSystemNames')],
    check() {
      const { [key]: names, allowSystemNames = [] } = authenticators[index] ?? {};
      if (!names?.prefix.startsWith('system:') || allowSystemNames.length > 0) return undefined;
      return {
        message:
          'begins with system:, as only names of Kubernetes itself do: the identity policy would refuse every user',
        fix: 'write another one, such as corp:',
      };
    },
  };
}

const timeLeft = 'it would leave the next authenticators no time';
const slotsLeft =
  'if this authenticator hangs, it alone could take every slot and block the others';

/** Keeps authenticators that hang from taking every slot, even together: otherwise healthy ones could answer no one. */
function slotRule({ server, authenticators }: FileConfig): Rule {
  const own = [...authenticators.keys()].map((index) => ofEntry(index, 'maxConcurrent'));
  return {
    reads: [at('server.maxInFlight'), ...own],
    check() {
      const { maxInFlight } = server;
      const limits = concurrencyLimits(authenticators, maxInFlight);
      const sum = limits.reduce((total, limit) => total + limit, 0);
      // An authenticator that alone takes all slots is reported by its own rule.
      if (sum < maxInFlight || limits.some((limit) => limit >= maxInFlight)) return undefined;
      const first =
        own[authenticators.findIndex(({ maxConcurrent }) => maxConcurrent !== undefined)];
      return {
        ...(first && { path: first }),
        message: `the authenticators may have ${limits.join(' + ')} = ${sum} lookups in progress (maxConcurrent), which is not less than server.maxInFlight (${maxInFlight}): if all of them hang, they take every slot`,
        fix: `${first ? 'lower maxConcurrent of one, or raise server.maxInFlight' : 'raise it'} to more than ${sum}`,
      };
    },
  };
}

/** Makes the rules between `login` and the authenticators, and between its own values. */
function loginRules({ login, authenticators }: FileConfig): Rule[] {
  if (!isObject(login)) return [];
  return [
    {
      reads: [at('login.sessions'), at('login.authenticators'), at('authenticators')],
      check: () =>
        authenticators.some(({ name }) => name === login.sessions) &&
        login.authenticators.includes(login.sessions) && {
          message: 'is in login.authenticators too, which names those that check passwords',
          fix: 'name there those with use: ldap, and here one with use: redis that has nothing but sessions',
        },
    },
    ...audienceRules(login),
    ...sessionNameRules(authenticators, login.sessions),
  ];
}

/** Requires different audiences, since the audience alone binds a session to its cluster. */
function audienceRules({ clusters }: NonNullable<FileConfig['login']>): Rule[] {
  const path = at('login.clusters');
  return Object.keys(isObject(clusters) ? clusters : {}).map((name) => ({
    reads: [[...path, name, 'audience'], path],
    check() {
      const first = Object.keys(clusters).find(
        (one) => clusters[one]?.audience === clusters[name]?.audience,
      );
      return (
        first !== name && {
          message: `is that of cluster ${first} too: a session for one would be valid for the other`,
          fix: 'give each cluster an audience of its own, and its kube-apiserver that in --api-audiences',
        }
      );
    },
  }));
}

/** Refuses rules for names of sessions: these are names of the authenticator that checked the password, and its rules have checked them. */
function sessionNameRules(authenticators: FileConfig['authenticators'], sessions: string): Rule[] {
  const index = authenticators.findIndex((one) => one?.name === sessions);
  const { username, groups, allowSystemNames } = authenticators[index] ?? {};
  const set = {
    'username.prefix': username?.prefix,
    'groups.prefix': groups?.prefix,
    'groups.allow': groups?.allow,
  };
  return Object.entries({ ...set, allowSystemNames: allowSystemNames?.[0] }).map(
    ([keys, value]) => ({
      reads: [ofEntry(index, keys)],
      check: () =>
        value !== undefined &&
        value !== '' && {
          message: 'has no effect on sessions, whose names are those of login.authenticators',
          fix: 'if this one is for sessions alone, remove it here and set it there; otherwise name another one in login.sessions',
          at: 'key',
        },
    }),
  );
}

/**
 * Returns how many lookups each authenticator may have in progress: its `maxConcurrent`. If that is left out, it is an equal share of
 * `server.maxInFlight`, with one share left free, from 1 to 100. So authenticators that hang never take every slot, not even all of
 * them together.
 */
export function concurrencyLimits(
  authenticators: FileConfig['authenticators'],
  maxInFlight: number,
): number[] {
  const share = Math.floor(maxInFlight / (authenticators.length + 1));
  return authenticators.map(
    ({ maxConcurrent }) => maxConcurrent ?? Math.max(1, Math.min(100, share)),
  );
}

/**
 * Returns how many lookups each authenticator may queue: an equal share of what the limits leave of `server.maxInFlight`, less one; 0 or
 * more.
 */
export function queueLimit(limits: readonly number[], maxInFlight: number): number {
  const left = maxInFlight - 1 - limits.reduce((total, limit) => total + limit, 0);
  return Math.max(0, Math.floor(left / limits.length));
}

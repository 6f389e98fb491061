import { isLoopback } from '@sallyport/plugin-kit';
import { collide } from './listen.ts';
import { isObject, type Path, type Problem, valueAt } from './problems.ts';
import { at, describeUnknownName, makeRule, ofEntry, type Rule } from './rule.ts';
import { type FileConfig, fileJsonSchema } from './schema.ts';
import { reviewRules, secondFactorRules } from './second-factor-rules.ts';

/**
 * Checks the rules between values.
 *
 * @param file what could be read of the file: a value may be anything if `isValid` is false
 * @param rawFile the same file as it is written: messages repeat its own units
 */
export function checkRules(
  file: FileConfig,
  rawFile: unknown,
  isValid: (path: Path) => boolean,
): Problem[] {
  const less = createLessRule(file, rawFile);
  const rules = [
    clearTextRule(file, 'server', 'tokens'),
    clearTextRule(file, 'login', 'passwords'),
    addressRule(file, 'admin', 'server'),
    addressRule(file, 'login', 'server'),
    addressRule(file, 'login', 'admin'),
    makeRule([at('server.authorize'), at('cache.redis')], () => isWithoutBlocks(file), {
      message: 'needs a Redis in which replicas find the blocks',
      fix: 'add cache.redis, or remove this key',
      at: 'key',
    }),
    less(at('server.maxTokenSize'), 'server.maxBodySize', 'a token has to fit into a body'),
    less(at('cache.redis.timeout'), 'server.reviewTimeout', 'authenticators would have no time'),
    ...(Array.isArray(file.authenticators)
      ? [
          ...authenticatorRules(file, less, isValid),
          slotRule(file),
          ...loginRules(file),
          ...secondFactorRules(file),
          ...reviewRules(file),
          ...directoryRules(file),
        ]
      : []),
  ];
  return rules.flatMap(({ reads, check }) => {
    const problem = reads.every(isValid) && check();
    return problem ? [{ path: reads[0], ...problem }] : [];
  });
}

function isWithoutBlocks({ server, cache }: FileConfig): boolean {
  return server.authorize && cache.redis === undefined;
}

function clearTextRule(file: FileConfig, section: 'server' | 'login', secrets: string): Rule {
  const isClear = () => {
    const { tls, listen } = file[section] ?? {};
    return tls === undefined && listen !== undefined && !isLoopback(listen.host);
  };
  return makeRule([at(`${section}.listen`), at(`${section}.tls`)], isClear, {
    message: `${secrets} would cross the network in clear: plain HTTP is for loopback only`,
    fix: `add ${section}.tls, or listen on 127.0.0.1 or [::1]`,
  });
}

function addressRule(
  file: FileConfig,
  section: 'admin' | 'login',
  otherSection: 'server' | 'admin',
): Rule {
  const isTaken = () => {
    const listen = file[section]?.listen;
    return listen !== undefined && collide(listen, file[otherSection].listen);
  };
  return makeRule([at(`${section}.listen`), at(`${otherSection}.listen`)], isTaken, {
    message: `is also the address of ${otherSection}.listen`,
    fix: 'choose another port',
  });
}

/** @returns a function that makes the rule that a value is less than another one, whose keys are `limit` */
function createLessRule(file: FileConfig, rawFile: unknown) {
  return (path: Path, limit: string, reason: string): Rule => ({
    reads: [path, at(limit)],
    check() {
      const [value, bound] = [valueAt(file, path), valueAt(file, at(limit))];
      if (typeof value !== 'number' || value < Number(bound)) return undefined;
      return {
        message: `${asWritten(rawFile, path)} is not less than ${limit} (${asWritten(rawFile, at(limit))}): ${reason}`,
        fix: `lower it, or raise ${limit}`,
      };
    },
  });
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
  less: ReturnType<typeof createLessRule>,
  isValid: (path: Path) => boolean,
): Rule[] {
  const { authenticators } = file;
  return [...authenticators.keys()].flatMap((index): Rule[] => [
    {
      reads: [ofEntry(index, 'name')],
      check() {
        const name = authenticators[index]?.name;
        const firstIndex = authenticators.findIndex(
          (authenticator, place) => authenticator?.name === name && isValid(ofEntry(place, 'name')),
        );
        if (firstIndex === index) return undefined;
        return {
          message: `"${name}" is also the name of authenticators[${firstIndex}], and names identify authenticators in metrics and logs`,
          fix: 'choose another name',
        };
      },
    },
    systemPrefixRule(file, index, 'username'),
    systemPrefixRule(file, index, 'groups'),
    less(ofEntry(index, 'timeout'), 'server.reviewTimeout', timeLeft),
    less(ofEntry(index, 'maxConcurrent'), 'server.maxInFlight', slotsLeft),
  ]);
}

/** Refuses a prefix with which no one would be let in, which only the log would show. */
function systemPrefixRule(
  { authenticators }: FileConfig,
  index: number,
  key: 'username' | 'groups',
): Rule {
  const refusesAll = () => {
    const { [key]: names, allowSystemNames = [] } = authenticators[index] ?? {};
    return names?.prefix.startsWith('system:') === true && allowSystemNames.length === 0;
  };
  const reads = [ofEntry(index, `${key}.prefix`), ofEntry(index, 'allowSystemNames')] as const;
  return makeRule(reads, refusesAll, {
    message:
      'begins with system:, which is reserved for Kubernetes: the identity policy would refuse every user',
    fix: 'write another prefix, such as corp:',
  });
}

const timeLeft = 'it would leave the next authenticators no time';
const slotsLeft =
  'if this authenticator hangs, it alone could take every slot and block the others';

/** Keeps authenticators that hang from taking every slot, even together: otherwise healthy ones could answer no one. */
function slotRule({ server, authenticators }: FileConfig): Rule {
  const limitPaths = [...authenticators.keys()].map((index) => ofEntry(index, 'maxConcurrent'));
  return {
    reads: [at('server.maxInFlight'), ...limitPaths],
    check() {
      const { maxInFlight } = server;
      const limits = concurrencyLimits(authenticators, maxInFlight);
      const sum = limits.reduce((total, limit) => total + limit, 0);
      // An authenticator that alone takes all slots is reported by its own rule.
      if (sum < maxInFlight || limits.some((limit) => limit >= maxInFlight)) return undefined;
      const firstPath =
        limitPaths[authenticators.findIndex(({ maxConcurrent }) => maxConcurrent !== undefined)];
      return {
        ...(firstPath && { path: firstPath }),
        message: `the sum of maxConcurrent (${limits.join(' + ')} = ${sum}) must be less than server.maxInFlight (${maxInFlight}), so that hanging authenticators can't take every slot`,
        fix: `${firstPath ? 'lower maxConcurrent of one authenticator, or raise server.maxInFlight' : 'raise server.maxInFlight'} above ${sum}`,
      };
    },
  };
}

/** Makes the rules between `login` and the authenticators, and between its own values. */
function loginRules({ login, authenticators, cache }: FileConfig): Rule[] {
  if (!isObject(login)) return [];
  return [
    makeRule(
      [at('login.sessions'), at('login.authenticators'), at('authenticators')],
      () =>
        authenticators.some(({ name }) => name === login.sessions) &&
        login.authenticators.includes(login.sessions),
      {
        message:
          'is also in login.authenticators, which lists the authenticators that check passwords',
        fix: 'list authenticators with use: ldap there, and name one with use: redis here, for sessions alone',
      },
    ),
    ...browserRules(login, cache),
    ...audienceRules(login),
    ...serverRules(login),
    ...sessionNameRules(authenticators, login.sessions),
  ];
}

/** Makes the rules of logins in a browser. */
function browserRules(
  { authenticators, browser, title, logo, providers }: NonNullable<FileConfig['login']>,
  cache: FileConfig['cache'],
): Rule[] {
  const path = at('login.providers');
  const isNone = () => Object.keys(providers).length === 0;
  return [
    makeRule([at('login.authenticators'), path], () => authenticators.length === 0 && isNone(), {
      message: 'is empty, so no one can log in',
      fix: 'list authenticators with use: ldap, or add login.providers with login.browser: true',
    }),
    makeRule([path, at('login.browser')], () => !browser && !isNone(), {
      message: 'has no effect without a page to choose a provider on',
      fix: 'add login.browser: true, or remove this key',
      at: 'key',
    }),
    ...Object.entries({ logo: logo !== undefined, title: title !== undefined }).map(
      ([key, isSet]) =>
        makeRule([at(`login.${key}`), at('login.browser')], () => !browser && isSet, {
          message: 'has no effect without pages to show it on',
          fix: 'add login.browser: true, or remove this key',
          at: 'key',
        }),
    ),
    makeRule([at('login.browser'), at('cache.redis')], () => browser && !cache.redis, {
      message: 'needs a Redis in which all replicas find the logins in progress',
      fix: 'add cache.redis, or remove this key',
      at: 'key',
    }),
  ];
}

/** Requires different audiences, since the audience alone binds a session to its cluster. */
function audienceRules({ clusters }: NonNullable<FileConfig['login']>): Rule[] {
  const path = at('login.clusters');
  return Object.keys(isObject(clusters) ? clusters : {}).map((name) => ({
    reads: [[...path, name, 'audience'], path],
    check() {
      const firstName = Object.keys(clusters).find(
        (clusterName) => clusters[clusterName]?.audience === clusters[name]?.audience,
      );
      return (
        firstName !== name && {
          message: `is also the audience of cluster ${firstName}: a session for one would be valid for the other`,
          fix: 'give each cluster an audience of its own, and add it to --api-audiences of its kube-apiserver',
        }
      );
    },
  }));
}

/** Refuses the address of the login server as that of an API server. Below a path, a proxy may have both. */
function serverRules({ clusters, publicUrl }: NonNullable<FileConfig['login']>): Rule[] {
  const path = at('login.clusters');
  return Object.entries(isObject(clusters) ? clusters : {}).map(([name, cluster]) =>
    makeRule(
      [[...path, name, 'server'], at('login.publicUrl')],
      () => URL.parse(cluster.server)?.href === `${publicUrl}/`,
      {
        message: 'is login.publicUrl, where the login server answers, and not an API server',
        fix: 'write the server of a kubeconfig of this cluster, such as https://prod.example.com:6443',
      },
    ),
  );
}

/** Refuses rules for names of sessions: these are names of the authenticator that checked the password, and its rules have checked them. */
function sessionNameRules(authenticators: FileConfig['authenticators'], sessions: string): Rule[] {
  const index = authenticators.findIndex((authenticator) => authenticator?.name === sessions);
  const { username, groups, allowSystemNames } = authenticators[index] ?? {};
  const set = {
    'username.prefix': username?.prefix,
    'groups.prefix': groups?.prefix,
    'groups.allow': groups?.allow,
  };
  return Object.entries({ ...set, allowSystemNames: allowSystemNames?.[0] }).map(([keys, value]) =>
    makeRule([ofEntry(index, keys)], () => value !== undefined && value !== '', {
      message: 'has no effect on sessions: their names come from login.authenticators',
      fix: 'if this authenticator is for sessions alone, set this key at those authenticators; otherwise name another authenticator in login.sessions',
      at: 'key',
    }),
  );
}

/** The fix for a name in `directory.authenticator`. */
const directoryAdvice = 'write the name of an authenticator with use: ldap';

/** Makes the rules between `directory` of an authenticator and the other authenticators. */
function directoryRules({ login, authenticators }: FileConfig): Rule[] {
  const namePaths = authenticators.map((_, index) => ofEntry(index, 'name'));
  return [...authenticators.entries()].flatMap(([index, authenticator]): Rule[] => {
    const { name, directory } = authenticator ?? {};
    if (!isObject(directory)) return [];
    const { authenticator: directoryName } = directory;
    const directoryAuthenticator = authenticators.find((entry) => entry?.name === directoryName);
    return [
      {
        reads: [ofEntry(index, 'directory.authenticator'), ...namePaths],
        check() {
          if (directoryAuthenticator === authenticator)
            return { message: 'is this authenticator itself', fix: directoryAdvice };
          if (directoryAuthenticator === undefined) {
            const otherNames = authenticators.flatMap((entry) =>
              entry.name === name ? [] : entry.name,
            );
            return describeUnknownName(directoryName, otherNames, directoryAdvice);
          }
          const { directory: its } = directoryAuthenticator;
          return (
            isObject(its) && {
              message: `${directoryAuthenticator.name} has a directory of its own: groups would come from it in one place, and from ${its.authenticator} in another`,
              fix: `remove directory of ${directoryAuthenticator.name}, or write ${its.authenticator} here`,
            }
          );
        },
      },
      {
        reads: [ofEntry(index, 'directory'), ofEntry(index, 'name'), at('login')],
        check: () => idleDirectory(login, name),
      },
      ...ownGroupRules(authenticator, index),
    ];
  });
}

/** Refuses a directory for users that the login server looks up in another way. */
function idleDirectory(login: FileConfig['login'], name: string) {
  if (!isObject(login)) return undefined;
  if (login.sessions === name) {
    return {
      message:
        'has no effect on sessions: their users are looked up by the authenticator that logged them in',
      fix: 'remove it, or name another authenticator in login.sessions',
      at: 'key',
    } as const;
  }
  if (!login.authenticators.includes(name)) return undefined;
  return {
    message: `can't be used for ${name}: its users log in, and their sessions would have other groups than their tokens`,
    fix: `remove it, or remove ${name} from login.authenticators`,
    at: 'key',
  } as const;
}

/** Refuses rules for groups of the token, which the groups of the directory replace. */
function ownGroupRules(
  { directory, groups }: FileConfig['authenticators'][number],
  index: number,
): Rule[] {
  return (['prefix', 'allow'] as const).map((key): Rule => {
    const hasNoEffect = () =>
      directory?.groups === 'replace' && groups?.[key] !== undefined && groups[key] !== '';
    return {
      reads: [ofEntry(index, `groups.${key}`), ofEntry(index, 'directory')],
      check: () =>
        hasNoEffect() && {
          message: `has no effect: the groups of ${directory?.authenticator} replace those of the token, and have the names that it gives them`,
          fix: `set this key at ${directory?.authenticator}, or write directory.groups: add`,
          at: 'key',
        },
    };
  });
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
  const remaining = maxInFlight - 1 - limits.reduce((total, limit) => total + limit, 0);
  return Math.max(0, Math.floor(remaining / limits.length));
}

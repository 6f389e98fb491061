import { collide, isLoopback } from './listen.ts';
import type { Path } from './problems.ts';
import type { Rule } from './rule.ts';
import type { AuthenticatorSettings, FileConfig, LoginConfig } from './types.ts';

const login: Path = ['login'];
const at = (...keys: PropertyKey[]): Path => [...login, ...keys];

/** What `login` demands of other values, and its own of each other. */
export function loginRules({ login: settings, server, admin, authenticators }: FileConfig): Rule[] {
  if (typeof settings !== 'object' || settings === null) return [];
  const named = (name: string) => authenticators.findIndex((one) => one?.name === name);
  const all: Path = ['authenticators'];
  return [
    {
      reads: [at('listen'), at('tls')],
      judge() {
        if (settings.tls !== undefined || isLoopback(settings.listen.host)) return undefined;
        return {
          message: 'passwords would cross the network in clear: plain HTTP is for loopback only',
          fix: 'add login.tls, or listen on 127.0.0.1 or [::1]',
        };
      },
    },
    ...(
      [
        ['server', server],
        ['admin', admin],
      ] as const
    ).map(
      ([section, { listen }]): Rule => ({
        reads: [at('listen'), [section, 'listen']],
        judge: () =>
          collide(settings.listen, listen)
            ? { message: `is the address of ${section}.listen too`, fix: 'give it another port' }
            : undefined,
      }),
    ),
    ...(Array.isArray(settings.authenticators) ? settings.authenticators : []).map(
      (name, index): Rule => ({
        reads: [at('authenticators', index), all],
        judge: () => judgeName(name, named(name), authenticators),
      }),
    ),
    {
      reads: [at('sessions'), at('authenticators'), all],
      judge() {
        const unknown = judgeName(settings.sessions, named(settings.sessions), authenticators);
        if (unknown !== undefined || !settings.authenticators.includes(settings.sessions)) return unknown;
        return { message: 'checks passwords too', fix: 'give sessions an authenticator of their own, with use: redis' };
      },
    },
    ...audiencesOfClusters(settings.clusters),
    ...namesOfSessions(settings.sessions, authenticators),
  ];
}

function judgeName(name: string, index: number, authenticators: readonly AuthenticatorSettings[]) {
  if (index >= 0) return undefined;
  const names = authenticators.map((one) => one.name).join(', ');
  return { message: `"${name}" is no authenticator of this file`, fix: `write one of ${names}` };
}

/** A session is bound to its cluster by the audience alone. */
function audiencesOfClusters(clusters: LoginConfig['clusters']): Rule[] {
  if (typeof clusters !== 'object' || clusters === null) return [];
  const names = Object.keys(clusters);
  return names.slice(1).map((name, before): Rule => {
    const audience = clusters[name]?.audience;
    return {
      reads: [at('clusters', name, 'audience'), at('clusters')],
      judge() {
        const other = names.slice(0, before + 1).find((one) => clusters[one]?.audience === audience);
        if (other === undefined) return undefined;
        const message = `is that of cluster ${other} too: a session for one would be good for the other`;
        return {
          message,
          fix: 'give each cluster an audience of its own, and its kube-apiserver that in --api-audiences',
        };
      },
    };
  });
}

/** The names in a session are those of the authenticator that checked the password, and its rules have judged them. */
function namesOfSessions(name: string, authenticators: readonly AuthenticatorSettings[]): Rule[] {
  const index = authenticators.findIndex((one) => one?.name === name);
  if (index < 0) return [];
  const { username, groups, allowSystemNames } = authenticators[index] as AuthenticatorSettings;
  const path = (...keys: PropertyKey[]): Path => ['authenticators', index, ...keys];
  const rule = (where: Path, isSet: boolean | undefined): Rule => ({
    reads: [where],
    judge: () =>
      isSet
        ? {
            message: 'has no effect on sessions, whose names are those of login.authenticators',
            fix: 'remove it here; set it there',
            at: 'key',
          }
        : undefined,
  });
  return [
    rule(path('username', 'prefix'), username?.prefix !== ''),
    rule(path('groups', 'prefix'), groups?.prefix !== ''),
    rule(path('groups', 'allow'), groups?.allow !== undefined),
    rule(path('allowSystemNames'), allowSystemNames?.length > 0),
  ];
}

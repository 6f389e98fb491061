/** Two replicas that look the users of JWTs and static tokens up in a directory, with a bad network before it and its Redis. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  type FaultPlan,
  type FaultProxy,
  startFaultProxy,
} from '@sallyport/test-servers/fault-proxy';
import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { type ManglingProxy, startManglingProxy } from '@sallyport/test-servers/mangling-proxy';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { collectsGarbage, startBenchGateway } from '../bench/gateway.ts';
import { checkout } from '../bench/options.ts';
import { createTls } from '../bench/tls.ts';
import { startReplica } from '../soak/processes.ts';
import { openWay, type Way } from '../soak/stores.ts';
import type { Replica } from '../soak/world.ts';
import type { Lifetimes, Version } from './oracle.ts';

/** Milliseconds. */
export const lifetimes: Lifetimes = { refresh: 1_000, staleTtl: 4_000, lookup: 2_000 };

const counts = { users: 24, groupsOfUser: 20 } as const;

/** A user of the directory, who has a JWT or a static token. */
export interface User {
  readonly name: string;
  readonly token: string;
  readonly username: string;
  readonly dn: string;
  /** All groups that the user ever has, by their DNs. */
  readonly groups: ReadonlyMap<string, string>;
  readonly versions: Version[];
}

export interface World {
  readonly slapd: Slapd;
  readonly redis: RedisServer;
  /** What the network does to the connections to the directory, and the share of the answers of Redis that it mangles. */
  readonly network: { plan: () => FaultPlan; mangledShare: number };
  readonly proxy: FaultProxy;
  readonly mangler: ManglingProxy;
  readonly ways: { readonly directory: Way; readonly redis: Way };
  readonly users: readonly User[];
  readonly replicas: readonly Replica[];
}

/** @param random in [0, 1) */
export async function startWorld(
  resources: AsyncDisposableStack,
  random: () => number,
): Promise<World> {
  const slapd = resources.use(await startSlapd({ countsOperations: false }));
  const redis = resources.use(await startRedis({ settings: { appendonly: 'no' } }));
  const network = { plan: (): FaultPlan => ({ kind: 'pass' }), mangledShare: 0 };
  const proxy = resources.use(
    await startFaultProxy({
      target: { host: '127.0.0.1', port: slapd.ldapsPort },
      plan: () => network.plan(),
    }),
  );
  const mangler = resources.use(
    await startManglingProxy({
      target: redis.port,
      random,
      share: () => network.mangledShare,
      insertions: ['$-1\r\n', '*0\r\n'],
    }),
  );
  const ways = {
    directory: resources.use(await openWay(proxy.port)),
    redis: resources.use(await openWay(mangler.port)),
  };
  const issuer = createJwtIssuer();
  const users = await addUsers(slapd, issuer);
  const tls = await createTls(resources);
  const start = await replicaStarter(slapd, ways, issuer, users);
  const replicas = await Promise.all(
    [0, 1].map((number) => startReplica(resources, number, tls, () => start(tls))),
  );
  return { slapd, redis, network, proxy, mangler, ways, users, replicas };
}

async function addUsers(slapd: Slapd, issuer: ReturnType<typeof createJwtIssuer>): Promise<User[]> {
  const exp = Math.floor(Date.now() / 1000) + 86_400;
  const users = Array.from({ length: counts.users }, (_, at): User => {
    const name = `user-${at}`;
    const groups = Array.from({ length: counts.groupsOfUser }, (_unused, group) => {
      const cn = `${name}-team-${group}`;
      return [`cn=${cn},ou=groups,${slapd.suffix}`, `corp:${cn}`] as const;
    });
    const isJwt = at % 2 === 0;
    return {
      name,
      token: isJwt ? issuer.token({ sub: name, exp }) : randomToken(),
      username: isJwt ? `oidc:${name}` : `robot:${name}`,
      dn: `uid=${name},ou=people,${slapd.suffix}`,
      groups: new Map(groups),
      versions: [],
    };
  });
  const entries = users.flatMap(({ dn, groups }) => [
    { dn, attributes: { objectClass: ['account', 'simpleSecurityObject'], userPassword: 'x' } },
    ...[...groups.keys()].map((group) => ({
      dn: group,
      attributes: { objectClass: ['groupOfNames'], member: [nobody, dn] },
    })),
  ]);
  await slapd.add(toLdif(entries));
  for (const { groups, versions } of users)
    versions.push({
      groups: new Set(groups.values()),
      isLocked: false,
      begin: performance.now(),
      end: Number.POSITIVE_INFINITY,
    });
  return users;
}

/** A group must have a member. */
const nobody = 'cn=nobody';

const milliseconds = (time: number): string => `${time}ms`;

async function replicaStarter(
  { suffix, service, caFile }: Slapd,
  ways: { readonly directory: { port: number }; readonly redis: { port: number } },
  issuer: ReturnType<typeof createJwtIssuer>,
  users: readonly User[],
) {
  const directory = { authenticator: 'corp', refresh: milliseconds(lifetimes.refresh) };
  const corp = {
    name: 'corp',
    use: 'ldap',
    username: { prefix: 'corp:' },
    groups: { prefix: 'corp:' },
    timeout: milliseconds(lifetimes.lookup),
    circuit: { openFor: '500ms' },
    options: {
      urls: [`ldaps://127.0.0.1:${ways.directory.port}`],
      caFile: 'tls/ldap-ca.crt',
      serverTimeout: '1s',
      bind: { dn: service.dn, password: { file: 'secrets/ldap-password' } },
      user: { base: `ou=people,${suffix}`, filter: '(uid={username})' },
      groups: { base: `ou=groups,${suffix}`, filter: '(member={dn})' },
    },
  };
  const config = {
    cache: {
      authenticatedTtl: '10s',
      rejectedTtl: '1s',
      unknownTtl: '1s',
      staleTtl: milliseconds(lifetimes.staleTtl),
      redis: {
        url: `redis://127.0.0.1:${ways.redis.port}`,
        sealingKeys: [{ file: 'secrets/sealing-key' }],
        timeout: '500ms',
      },
    },
    authenticators: [
      issuer.authenticator({ groups: {}, directory }),
      { ...staticAuthenticator, username: { prefix: 'robot:' }, directory },
      corp,
    ],
  };
  const tokens = users.filter(({ username }) => username.startsWith('robot:'));
  const files = {
    ...issuer.files,
    'tls/ldap-ca.crt': await readFile(caFile, 'utf8'),
    'secrets/ldap-password': secret(service.password),
    'secrets/sealing-key': secret(randomBytes(32).toString('base64')),
    'tokens.yaml': tokensFile(Object.fromEntries(tokens.map(({ token, name }) => [token, name]))),
  };
  return (tls: Awaited<ReturnType<typeof createTls>>) =>
    startBenchGateway({ entry: checkout, tls, config, files, nodeArguments: collectsGarbage });
}

/**
 * Gives a user a group, takes one away, locks or unlocks them, in one change, which is tried again until the directory confirms it.
 */
export async function changeUser(
  { slapd }: Pick<World, 'slapd'>,
  user: User,
  random: () => number,
): Promise<void> {
  const last = user.versions.at(-1);
  if (last === undefined) throw new Error(`${user.name} has no version`);
  const isLocking = random() < (last.isLocked ? 0.5 : 0.1);
  const [dn = '', name = ''] = [...user.groups][Math.floor(random() * user.groups.size)] ?? [];
  const groups = new Set(last.groups);
  if (!isLocking && !groups.delete(name)) groups.add(name);
  const isLocked = last.isLocked !== isLocking;
  const ldif = isLocking
    ? { dn: user.dn, attributes: { pwdAccountLockedTime: isLocked ? '000001010000Z' : [] } }
    : { dn, attributes: { member: groups.has(name) ? [nobody, user.dn] : [nobody] } };
  // The next answer may show it from now on, and an answer may show the version before until the directory has confirmed it.
  const begin = performance.now();
  user.versions.push({ groups, isLocked, begin, end: Number.POSITIVE_INFINITY });
  for (;;) {
    try {
      await slapd.modify(toReplacements([ldif]));
      last.end = performance.now();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

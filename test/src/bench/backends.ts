import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { toLdif } from '@sallyport/test-servers/ldif';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { newToken, recordKey } from '@sallyport/test-servers/redis-tokens';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';

/** An OpenLDAP server with people in it, each in one group. */
export interface DirectoryFacts {
  /** The port of LDAPS on 127.0.0.1. */
  readonly port: number;
  readonly url: string;
  /** The certificate of its CA in PEM. */
  readonly ca: string;
  readonly service: { readonly dn: string; readonly password: string };
  readonly userBase: string;
  readonly groupBase: string;
  readonly people: readonly {
    readonly name: string;
    readonly dn: string;
    readonly password: string;
    /** The token that `kubectl` would send. */
    readonly token: string;
  }[];
}

/** Makes the `options` of an LDAP authenticator, and the files that they name. */
export function directoryAccess({ url, ca, service, userBase, groupBase }: DirectoryFacts): {
  readonly options: object;
  readonly files: Readonly<Record<string, string>>;
} {
  return {
    options: {
      urls: [url],
      caFile: 'tls/ldap-ca.crt',
      bind: { dn: service.dn, password: { file: 'secrets/ldap-password' } },
      user: { base: userBase, filter: '(uid={username})' },
      groups: { base: groupBase, filter: '(member={dn})' },
    },
    files: { 'tls/ldap-ca.crt': ca, 'secrets/ldap-password': service.password },
  };
}

/** A user with a token that is in Redis. */
export interface Robot {
  readonly token: string;
  readonly username: string;
}

/** The backends. Each is started when a contender first needs it, and shared by all that do. */
export interface Backends {
  directory(): Promise<DirectoryFacts>;
  redis(): Promise<RedisServer>;
  /** The first of the robots in Redis, which are added as needed. */
  robots(count: number): Promise<readonly Robot[]>;
}

const peopleCount = 1_000;
const peopleInGroup = 50;

export function createBackends(resources: AsyncDisposableStack): Backends {
  let directory: ReturnType<typeof startDirectory> | undefined;
  let redis: Promise<RedisServer> | undefined;
  const robots: Robot[] = [];
  // Tests write each change to the disk. Here only cached answers are written.
  const start = async () => resources.use(await startRedis({ settings: { appendonly: 'no' } }));
  const startedRedis = (): Promise<RedisServer> => (redis ??= start());
  return {
    async directory() {
      directory ??= startDirectory(resources);
      return (await directory).facts;
    },
    redis: startedRedis,
    async robots(count) {
      const client = (await startedRedis()).client();
      const pipeline = client.pipeline();
      while (robots.length < count) {
        const robot = { token: newToken(), username: `robot-${robots.length}` };
        robots.push(robot);
        pipeline.set(recordKey(robot.token), JSON.stringify({ username: robot.username }));
      }
      await pipeline.exec();
      return robots.slice(0, count);
    },
  };
}

/** Starts an OpenLDAP server. It returns what its clients need to know. */
async function startDirectory(
  resources: AsyncDisposableStack,
): Promise<{ readonly slapd: Slapd; readonly facts: DirectoryFacts }> {
  const slapd = resources.use(await startSlapd({ countsOperations: false }));
  const [userBase, groupBase] = [`ou=people,${slapd.suffix}`, `ou=groups,${slapd.suffix}`];
  const people = Array.from({ length: peopleCount }, (_, at) => {
    const [name, password] = [`person-${at}`, randomBytes(18).toString('base64url')];
    const token = Buffer.from(`${name}:${password}`).toString('base64');
    return { name, dn: `uid=${name},${userBase}`, password, token };
  });
  const users = people.map(({ dn, password }) => ({
    dn,
    attributes: { objectClass: ['account', 'simpleSecurityObject'], userPassword: password },
  }));
  const groups = Array.from({ length: peopleCount / peopleInGroup }, (_, at) => ({
    dn: `cn=team-${at},${groupBase}`,
    attributes: {
      objectClass: ['groupOfNames'],
      member: people.slice(at * peopleInGroup, (at + 1) * peopleInGroup).map(({ dn }) => dn),
    },
  }));
  await slapd.add(toLdif([...users, ...groups]));
  const { ldapsPort: port, ldapsUrl: url, service } = slapd;
  const ca = await readFile(slapd.caFile, 'utf8');
  return { slapd, facts: { port, url, ca, service, userBase, groupBase, people } };
}

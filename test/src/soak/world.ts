/** The servers of a soak: three gateways with login servers, a directory with people, a cache Redis, and a Redis for tokens. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Slapd } from '@sallyport/test-servers/slapd';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import {
  type BenchGateway,
  benchConfigText,
  collectsGarbage,
  names,
  startBenchGateway,
} from '../bench/gateway.ts';
import { checkout } from '../bench/options.ts';
import { createTls, type Tls } from '../bench/tls.ts';
import {
  askLogin,
  clusters,
  type LoginAnswer,
  type LoginRequest,
  publicHost,
} from '../testing/ask-login.ts';
import { type Client, http1Client, http2Client } from '../testing/clients.ts';
import { type CommandResult, runCommand } from '../testing/command.ts';
import { createJwtIssuer } from '../testing/jwt-issuer.ts';
import { ldapToken, startPeople } from '../testing/ldap-gateway.ts';
import { newToken, writeRecord } from '../testing/redis-tokens.ts';
import { staticAuthenticator, tokensFile } from '../testing/static-tokens.ts';
import { reviewBody, type TokenReview } from '../testing/token-review.ts';
import { randomToken, secret } from '../testing/tokens.ts';
import { type DirectoryWay, openDirectoryWay } from './directory-way.ts';
import type { Identity, Secret } from './history.ts';
import { limits, replicaCount } from './limits.ts';
import { type Store, startStore, type Topology } from './stores.ts';

/** A secret with its token, which the history does not contain. */
export interface Credential extends Secret {
  /** The token that kube-apiserver sends. */
  readonly token: string;
}

export interface Person {
  readonly name: string;
  readonly dn: string;
  readonly identity: Identity;
  /** The password in force, and those before it. */
  credential: Credential;
  readonly old: Credential[];
}

/** An account in the directory of a user who has a JWT. */
export interface Account {
  readonly name: string;
  readonly dn: string;
  readonly credential: Credential;
}

/** A process that can end, and another one that takes its place. */
export interface Replica {
  readonly number: number;
  readonly gateway: BenchGateway;
  /** Sends a review. @param isSecond whether it is sent over HTTP/2 */
  review(
    token: string,
    audience: string,
    version: 'v1' | 'v1beta1',
    isSecond: boolean,
  ): Promise<TokenReview['status']>;
  /** Sends any body. @returns the status of the answer */
  send(body: string): Promise<number>;
  askLogin(request: LoginRequest): Promise<LoginAnswer>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface World {
  readonly replicas: readonly Replica[];
  readonly people: readonly Person[];
  /** People who have an authenticator app. */
  readonly phoneOwners: readonly Person[];
  readonly accounts: readonly Account[];
  readonly robots: readonly Credential[];
  readonly members: readonly Credential[];
  readonly tls: Tls;
  readonly slapd: Slapd;
  readonly directory: DirectoryWay;
  readonly cache: Store;
  readonly tokens: Store;
  /** Makes a credential with a new number. */
  newCredential(kind: Secret['kind'], token: string, user?: Identity): Credential;
  passwordOf(person: Pick<Person, 'name' | 'identity'>, password: string): Credential;
  /** Finds the credential of a password that was made or guessed in this soak. */
  findPassword(name: string, password: string): Credential | undefined;
  issueRobot(): Promise<Credential>;
  /** Replaces a file next to the config of all replicas. */
  write(name: string, content: string | ((replica: number) => string)): Promise<void>;
  config(replica: number | undefined, reviewTimeout: string): string;
  run(words: readonly string[]): Promise<CommandResult>;
  /** Runs `sallyport WORDS`. @returns its exit status, or null if it ended by a signal or says that a failover can undo it */
  command(words: readonly string[]): Promise<number | null>;
}

export interface Setup {
  readonly topology: Topology;
  /** The gateway's entry. It is undefined for the entry of this checkout. */
  readonly entry: string | undefined;
  readonly choose: <One>(some: readonly One[]) => One;
}

const counts = { people: 12, phoneOwners: 4, accounts: 4, robots: 60, members: 10 } as const;

const milliseconds = (time: number): string => `${time}ms`;

export async function startWorld(resources: AsyncDisposableStack, setup: Setup): Promise<World> {
  const tls = await createTls(resources);
  const directory = resources.use(await startPeople());
  const way = resources.use(await openDirectoryWay(directory.slapd));
  const issuer = createJwtIssuer();
  const password = randomToken();
  const storeSetup = { replicas: replicaCount, password, choose: setup.choose };
  const cache = await startStore(resources, setup.topology, storeSetup);
  const tokens = await startStore(resources, setup.topology, storeSetup);
  const credentials = createCredentials(tokens);
  const members = Array.from({ length: counts.members }, (_, at) =>
    credentials.newCredential('static token', randomToken(), identity(`member-${at}`)),
  );
  const files: Readonly<Record<string, string>> = {
    ...directory.files,
    ...issuer.files,
    'tokens.yaml': membersFile(members),
    'secrets/redis': password,
    'secrets/sealing-key': secret(randomBytes(32).toString('base64')),
  };
  const corp = directory.authenticator({
    options: {
      serverTimeout: '1s',
      urls: [`ldaps://127.0.0.1:${way.port}`],
      user: {
        base: `ou=people,${directory.slapd.suffix}`,
        filter: '(uid={username})',
        attributes: { username: 'uid', uid: 'description' },
      },
    },
    entry: { cache: { store: 'shared' }, timeout: '3s' },
  });
  const configOf = (
    replica: number | undefined,
    reviewTimeout: string,
  ): Record<string, unknown> => ({
    server: { reviewTimeout },
    lockout: { maxFailures: limits.maxFailures, window: milliseconds(limits.lockoutWindow) },
    cache: {
      authenticatedTtl: milliseconds(limits.authenticatedTtl),
      rejectedTtl: milliseconds(limits.rejectedTtl),
      unknownTtl: milliseconds(limits.rejectedTtl),
      staleTtl: milliseconds(limits.staleTtl),
      memory: { maxEntries: 500 },
      redis: {
        ...cache.address(replica),
        sealingKeys: [{ file: 'secrets/sealing-key' }],
        timeout: '500ms',
      },
    },
    authenticators: [
      { ...staticAuthenticator, name: 'break-glass' },
      {
        name: 'robots',
        use: 'redis',
        username: { prefix: 'robot:' },
        options: tokens.address(replica),
      },
      {
        name: 'sessions',
        use: 'redis',
        options: { ...tokens.address(replica), keyPrefix: 'sessions:', tokenPrefix: 'sps_' },
      },
      issuer.authenticator(
        {
          directory: { authenticator: 'corp', refresh: milliseconds(limits.refresh) },
          // The groups come from the directory.
          groups: undefined,
        },
        { apiAudiences: Object.values(clusters).map(({ audience }) => audience) },
      ),
      corp,
    ],
    login: {
      listen: '127.0.0.1:0',
      publicUrl: `https://${publicHost}`,
      authenticators: ['corp'],
      sessions: 'sessions',
      clusters,
      browser: true,
      secondFactor: { required: 'none', methods: ['totp'], redis: tokens.address(replica) },
      revalidate: milliseconds(limits.revalidate),
      maxSessions: 100,
      // All come from one address.
      limits: { perAddress: '10000/m' },
    },
  });
  const start = (replica: number) =>
    startBenchGateway({
      entry: setup.entry ?? checkout,
      tls,
      config: configOf(replica, '10s'),
      files,
      nodeArguments: collectsGarbage,
    });
  const people = await addPeople(directory, credentials, 'person', counts.people);
  const phoneOwners = await addPeople(directory, credentials, 'phone', counts.phoneOwners);
  const accounts = await addAccounts(directory, credentials, issuer.token);
  const replicas = await Promise.all(
    Array.from({ length: replicaCount }, (_, number) =>
      startReplica(resources, number, tls, () => start(number)),
    ),
  );
  const operatorFiles = {
    ...files,
    'gateway.yaml': benchConfigText(configOf(undefined, '10s')),
    [names.certFile]: tls.server.cert,
    [names.keyFile]: tls.server.key,
    [names.clientCAFile]: tls.server.ca,
  };
  return {
    ...{
      replicas,
      people,
      phoneOwners,
      accounts,
      members,
      tls,
      slapd: directory.slapd,
      directory: way,
      cache,
      tokens,
      ...credentials,
    },
    robots: await Promise.all(Array.from({ length: counts.robots }, credentials.issueRobot)),
    config: (replica, reviewTimeout) => benchConfigText(configOf(replica, reviewTimeout)),
    async write(name, content) {
      const texts = replicas.map(({ number }) =>
        typeof content === 'string' ? content : content(number),
      );
      await Promise.all(
        replicas.map(({ gateway, number }) => gateway.write(name, texts[number] ?? '')),
      );
    },
    ...(await createOperator(resources, setup.entry, operatorFiles)),
  };
}

const identity = (username: string, groups: readonly string[] = [], uid?: string): Identity => ({
  username,
  groups,
  uid,
});

export function membersFile(members: readonly Credential[]): string {
  return tokensFile(
    Object.fromEntries(members.map(({ token, user }) => [token, user?.username ?? ''])),
  );
}

function createCredentials(
  tokens: Store,
): Pick<World, 'newCredential' | 'passwordOf' | 'findPassword' | 'issueRobot'> {
  let number = 0;
  const passwords = new Map<string, Credential>();
  const newCredential: World['newCredential'] = (kind, token, user) => ({
    number: ++number,
    kind,
    token: secret(token),
    ...(user && { user }),
  });
  return {
    newCredential,
    passwordOf({ name, identity: user }, password) {
      const credential = newCredential('password', ldapToken(name, password), user);
      passwords.set(credential.token, credential);
      return credential;
    },
    findPassword: (name, password) => passwords.get(ldapToken(name, password)),
    async issueRobot() {
      const token = newToken();
      const robot = newCredential('robot token', token, identity(`robot:ci-${number}`));
      await writeRecord(
        tokens.masterOf,
        token,
        JSON.stringify({ username: `ci-${robot.number - 1}` }),
      );
      return robot;
    },
  };
}

/** The uid of a user in the directory. */
export const uidOf = (name: string): string => `id-${name}`;

/** The group that an account can join and leave. */
export const optionalGroupOf = ({ name }: Pick<Account, 'name'>): string => `k8s-optional-${name}`;

async function addAccounts(
  { add, slapd }: Awaited<ReturnType<typeof startPeople>>,
  { newCredential }: Pick<World, 'newCredential'>,
  sign: (claims: object) => string,
): Promise<Account[]> {
  const exp = Math.floor(Date.now() / 1_000) + 86_400;
  return await Promise.all(
    Array.from({ length: counts.accounts }, async (_, at) => {
      const name = `account-${at}`;
      const { dn } = await add(name, `k8s-${name}`);
      const group = `cn=${optionalGroupOf({ name })},ou=groups,${slapd.suffix}`;
      // A group has a member.
      await slapd.add(`dn: ${group}\nobjectClass: groupOfNames\nmember: ${slapd.service.dn}\n`);
      const user = identity(`oidc:${name}`, [`corp:k8s-${name}`]);
      const token = sign({ sub: name, exp });
      const credential = newCredential('directory token', token, user);
      return { name, dn, credential: { ...credential, account: `corp:${name}` } };
    }),
  );
}

async function addPeople(
  { add, slapd }: Awaited<ReturnType<typeof startPeople>>,
  { passwordOf }: Pick<World, 'passwordOf'>,
  kind: string,
  count: number,
): Promise<Person[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const name = `${kind}-${at}`;
      const { dn, password } = await add(name, `k8s-${name}`);
      await slapd.modify(
        `dn: ${dn}\nchangetype: modify\nadd: description\ndescription: ${uidOf(name)}\n`,
      );
      const user = identity(`corp:${name}`, [`corp:k8s-${name}`], uidOf(name));
      return {
        name,
        dn,
        identity: user,
        credential: passwordOf({ name, identity: user }, password),
        old: [],
      };
    }),
  );
}

export async function startReplica(
  resources: AsyncDisposableStack,
  number: number,
  tls: Tls,
  start: () => Promise<BenchGateway>,
): Promise<Replica> {
  const { ca: authority, cert: certificate, key } = tls.client;
  const open = async () => {
    const gateway = await start();
    const [first, second] = [http1Client, http2Client].map(
      (make): Client => make(gateway.url, { authority, certificate, key }),
    );
    if (first === undefined || second === undefined) throw new Error('there are two protocols');
    return { gateway, first, second };
  };
  let current = await open();
  const close = async () => {
    for (const client of [current.first, current.second]) client[Symbol.dispose]();
    await current.gateway[Symbol.asyncDispose]();
  };
  resources.defer(close);
  return {
    number,
    get gateway() {
      return current.gateway;
    },
    async review(token, audience, version, isSecond) {
      const client = isSecond ? current.second : current.first;
      const { status, text } = await client.send({ body: reviewBody(token, version, [audience]) });
      if (status !== 200) throw new Error(`the review was answered ${status}`);
      return (JSON.parse(text) as TokenReview).status;
    },
    send: async (body) => (await current.first.send({ body })).status,
    askLogin: (request) => askLogin(current.gateway.loginUrl, request),
    // SIGKILL, and its folder is gone with it: its successor knows nothing of it.
    kill: close,
    async start() {
      current = await open();
    },
  };
}

async function createOperator(
  resources: AsyncDisposableStack,
  entry: string | undefined,
  files: Readonly<Record<string, string>>,
): Promise<Pick<World, 'run' | 'command'>> {
  const folder = resources.use(await temporaryFolder('operator')).path;
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content, { mode: 0o600 });
  }
  const gatewayFolder = entry === undefined ? {} : { gatewayFolder: dirname(dirname(entry)) };
  const setup = {
    cwd: folder,
    env: { SALLYPORT_CONFIG: join(folder, 'gateway.yaml') },
    ...gatewayFolder,
  };
  return {
    run: (words) => runCommand(words, setup),
    async command(words) {
      const { code, stderr } = await runCommand(words, setup);
      return stderr.includes('a failover now can undo') ? null : code;
    },
  };
}

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
import { runCommand } from '../testing/command.ts';
import { ldapToken, startPeople } from '../testing/ldap-gateway.ts';
import { newToken, writeRecord } from '../testing/redis-tokens.ts';
import { staticAuthenticator, tokensFile } from '../testing/static-tokens.ts';
import { reviewBody, type TokenReview } from '../testing/token-review.ts';
import { randomToken, secret } from '../testing/tokens.ts';
import { type Identity, limits, type Secret } from './oracle.ts';
import { openWay, type Store, startStore, type Topology, type Way } from './stores.ts';

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
  readonly robots: readonly Credential[];
  readonly members: readonly Credential[];
  readonly tls: Tls;
  readonly slapd: Slapd;
  readonly directory: Way;
  readonly cache: Store;
  readonly tokens: Store;
  /** Makes a credential with a new number. */
  newCredential(kind: Secret['kind'], token: string, user?: Identity): Credential;
  passwordOf(person: Pick<Person, 'name' | 'identity'>, password: string): Credential;
  issueRobot(): Promise<Credential>;
  /** Replaces a file next to the config of all replicas. */
  write(name: string, content: string | ((replica: number) => string)): Promise<void>;
  config(replica: number | undefined, reviewTimeout: string): string;
  /** Runs `sallyport WORDS`. @returns its exit status, or null if it ended by a signal or says that a failover can undo it */
  command(words: readonly string[]): Promise<number | null>;
}

export interface Setup {
  readonly topology: Topology;
  /** The gateway's entry. It is undefined for the entry of this checkout. */
  readonly entry: string | undefined;
  readonly choose: <One>(some: readonly One[]) => One;
}

const counts = { replicas: 3, people: 12, robots: 60, members: 10 } as const;

const milliseconds = (time: number): string => `${time}ms`;

export async function startWorld(resources: AsyncDisposableStack, setup: Setup): Promise<World> {
  const tls = await createTls(resources);
  const directory = resources.use(await startPeople());
  const way = resources.use(await openWay(directory.slapd.ldapsPort));
  const password = randomToken();
  const storeSetup = { replicas: counts.replicas, password, choose: setup.choose };
  const cache = await startStore(resources, setup.topology, storeSetup);
  const tokens = await startStore(resources, setup.topology, storeSetup);
  const credentials = createCredentials(tokens);
  const members = Array.from({ length: counts.members }, (_, at) =>
    credentials.newCredential('static token', randomToken(), identity(`member-${at}`)),
  );
  const files: Readonly<Record<string, string>> = {
    ...directory.files,
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
      corp,
    ],
    login: {
      listen: '127.0.0.1:0',
      publicUrl: `https://${publicHost}`,
      authenticators: ['corp'],
      sessions: 'sessions',
      clusters,
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
  const people = await addPeople(directory, credentials, counts.people);
  const replicas = await Promise.all(
    Array.from({ length: counts.replicas }, (_, number) =>
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
    command: await createOperator(resources, setup.entry, operatorFiles),
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
): Pick<World, 'newCredential' | 'passwordOf' | 'issueRobot'> {
  let number = 0;
  const newCredential: World['newCredential'] = (kind, token, user) => ({
    number: ++number,
    kind,
    token: secret(token),
    ...(user && { user }),
  });
  return {
    newCredential,
    passwordOf: ({ name, identity: user }, password) =>
      newCredential('password', ldapToken(name, password), user),
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

async function addPeople(
  { add, slapd }: Awaited<ReturnType<typeof startPeople>>,
  { passwordOf }: Pick<World, 'passwordOf'>,
  count: number,
): Promise<Person[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const name = `person-${at}`;
      const { dn, password } = await add(name, `k8s-${name}`);
      await slapd.modify(
        `dn: ${dn}\nchangetype: modify\nadd: description\ndescription: id-${at}\n`,
      );
      const user = identity(`corp:${name}`, [`corp:k8s-${name}`], `id-${at}`);
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
): Promise<World['command']> {
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
  return async (words) => {
    const { code, stderr } = await runCommand(words, setup);
    return stderr.includes('a failover now can undo') ? null : code;
  };
}

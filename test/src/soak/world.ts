/** The servers of a soak: three gateways with login servers, a directory with people, a cache Redis, and a Redis for tokens. */
import { randomBytes } from 'node:crypto';
import type { Slapd } from '@sallyport/test-servers/slapd';
import {
  type BenchGateway,
  benchConfigText,
  collectsGarbage,
  names,
  startBenchGateway,
} from '../bench/gateway.ts';
import { checkout } from '../bench/options.ts';
import { createTls, type Tls } from '../bench/tls.ts';
import { clusters, type LoginAnswer, type LoginRequest } from '../testing/ask-login.ts';
import type { CommandResult } from '../testing/command.ts';
import { createJwtIssuer } from '../testing/jwt-issuer.ts';
import { startPeople } from '../testing/ldap-gateway.ts';
import type { TokenReview } from '../testing/token-review.ts';
import { randomToken, secret } from '../testing/tokens.ts';
import { type DirectoryWay, openDirectoryWay } from './directory-way.ts';
import { corpAuthenticator, createConfig, milliseconds } from './gateway-config.ts';
import type { Identity, Secret } from './history.ts';
import { limits, replicaCount } from './limits.ts';
import { addAccounts, addPeople, createCredentials, identity, membersFile } from './people.ts';
import { createOperator, startReplica } from './processes.ts';
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
  const configOf = createConfig({
    corp: corpAuthenticator(directory, way),
    oidc: issuer.authenticator(
      {
        directory: { authenticator: 'corp', refresh: milliseconds(limits.refresh) },
        // The groups come from the directory.
        groups: undefined,
      },
      { apiAudiences: Object.values(clusters).map(({ audience }) => audience) },
    ),
    cache,
    tokens,
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
  const accounts = await addAccounts(directory, credentials, issuer.token, counts.accounts);
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

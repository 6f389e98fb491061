/** The servers of a soak: three gateways with login servers, a directory with people, a cache Redis, and a Redis for tokens. */
import { randomBytes } from 'node:crypto';
import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { startPeople } from '@sallyport/test-servers/people';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { benchConfigText, collectsGarbage, names, startBenchGateway } from '../bench/gateway.ts';
import { checkout } from '../bench/options.ts';
import { createTls } from '../bench/tls.ts';
import { clusters } from '../testing/ask-login.ts';
import { openDirectoryWay } from './directory-way.ts';
import { corpAuthenticator, createConfig, milliseconds } from './gateway-config.ts';
import { limits, replicaCount } from './limits.ts';
import { addAccounts, addPeople, createCredentials, identity, membersFile } from './people.ts';
import { createOperator, startReplica } from './processes.ts';
import { startStore, type Topology } from './stores.ts';
import type { World } from './world.ts';

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
  const operator = await createOperator(resources, setup.entry, operatorFiles);
  // The Redis is new. A later start on an empty one must let no one in.
  await operator.command(['revoke', '--all', '--by', 'soak']);
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
    ...operator,
  };
}

import { tmpdir } from 'node:os';
import { type RecordingContext, recordingContext } from '@sallyport/authenticator/conformance';
import { countingMetrics } from '@sallyport/test-servers/counting-metrics';
import { never } from '../../connection/testing/connecting.ts';
import type { Connect, SearchRequest, Server } from '../../connection/types.ts';
import { ldapOptions } from '../../options/testing/ldap-options.ts';
import type { LdapOptions } from '../../options/types.ts';
import { createDirectory } from '../create-directory.ts';
import type { Work } from '../service-account.ts';
import type { DirectoryDependencies, LdapDirectory } from '../types.ts';
import { type MemoryServer, memoryConnect, memoryServer } from './memory-server.ts';

/** Makes options for these servers. A test changes what it is about. */
export function directoryOptions(
  servers: readonly Server[],
  more: Partial<LdapOptions> = {},
): LdapOptions {
  const pool = { max: 4, idleTimeout: 60_000, maxAge: 3_600_000 };
  return ldapOptions({
    servers,
    pool,
    maxUserBinds: 10,
    bind: { dn: 'cn=service', password: 'of the service' },
    ...more,
  });
}

export interface DirectorySetUp {
  readonly directory: LdapDirectory;
  readonly lines: RecordingContext['lines'];
  readonly values: ReadonlyMap<string, number>;
}

export function directoryOf(
  options: LdapOptions,
  connect: Connect,
  more: Partial<DirectoryDependencies> = {},
): DirectorySetUp {
  const { metrics, values } = countingMetrics();
  const { context, lines } = recordingContext({ pluginName: 'ldap', baseDirectory: tmpdir() });
  const directory = createDirectory({
    options,
    connect,
    metrics,
    logger: context.logger,
    tls: () => ({ minVersion: 'TLSv1.2' }),
    now: () => performance.now(),
    random: () => 0,
    ...more,
  });
  return { directory, lines, values };
}

export interface MemorySetUp extends DirectorySetUp {
  readonly servers: readonly MemoryServer[];
  /** Returns the server with this index. @throws Error when there is none */
  server(index: number): MemoryServer;
}

/** Creates a directory of servers without a network, named `a`, `b` and so on. */
export function setUpMemoryServers(count: number, more: Partial<LdapOptions> = {}): MemorySetUp {
  const servers = ['a', 'b', 'c', 'd'].slice(0, count).map(memoryServer);
  const options = directoryOptions(
    servers.map(({ server }) => server),
    more,
  );
  const server = (index: number) => {
    const found = servers[index];
    if (found === undefined) throw new Error(`There is no server ${index}.`);
    return found;
  };
  return { ...directoryOf(options, memoryConnect(servers)), servers, server };
}

const searchRequest: SearchRequest = {
  base: 'dc=example',
  scope: 'sub',
  filter: { kind: 'present', attribute: 'objectClass' },
  attributes: ['1.1'],
  sizeLimit: 2,
};

/** Makes work that searches once and returns the code. */
export function searchOnce(signal: AbortSignal = never): Work<number> {
  return async (connection) => (await connection.search(searchRequest, signal)).code;
}

/** Words how a call ended, for `expect`. */
export function outcomeOf(
  call: Promise<{ readonly value: unknown; readonly server: Server }>,
): Promise<string> {
  return call.then(
    ({ value, server }) =>
      `${typeof value === 'object' ? JSON.stringify(value) : value} by ${server.host}`,
    (error: unknown) => {
      if (!(error instanceof Error)) return String(error);
      return `${'code' in error ? `${error.code}: ` : ''}${error.message}`;
    },
  );
}

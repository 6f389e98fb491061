import { readFileSync } from 'node:fs';
import { quietly, replaceFile } from '../files.ts';
import { parseObject } from '../text.ts';

/** What is remembered of a target after its session has ended. */
export interface Memory {
  /** The user of the last login, as Kubernetes sees them. */
  readonly user?: string | undefined;
  /** Where the login server says that the cluster is. It is empty if the login server does not say. */
  readonly server?: string | undefined;
  /** Where the user says that the cluster is, as well. */
  readonly allowedServers: readonly string[];
}

/** A user has few tunnels to a cluster, and the last ones are the ones in use. */
const maxServers = 16;

/** Remembers a target in a file. If it can't be written, nothing is remembered. */
export function createMemory(file: string) {
  const load = (): Memory => readMemory(file);
  return {
    read: load,
    remember(changes: Partial<Memory>): void {
      quietly(() => replaceFile(file, `${JSON.stringify({ ...load(), ...changes })}\n`));
    },
    allowServer(server: string): void {
      const otherServers = load().allowedServers.filter((allowed) => allowed !== server);
      this.remember({ allowedServers: [...otherServers, server].slice(-maxServers) });
    },
  };
}

/** Reads the file. One that is missing or damaged remembers nothing. */
function readMemory(file: string): Memory {
  let text = '';
  quietly(() => {
    text = readFileSync(file, 'utf8');
  });
  const { user, server, allowedServers } = parseObject(text) ?? {};
  return {
    user: typeof user === 'string' ? user : undefined,
    server: typeof server === 'string' ? server : undefined,
    allowedServers: Array.isArray(allowedServers)
      ? allowedServers.filter((allowed) => typeof allowed === 'string')
      : [],
  };
}

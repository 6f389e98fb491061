import { open } from 'node:fs/promises';

/** The operations of clients since the server was created, without those of `add` and `modify`. */
export interface Operations {
  readonly binds: number;
  readonly searches: number;
  /** Keys are DNs as the server writes them: with its own escapes, but with the client's upper and lower case. */
  readonly bindsByDn: ReadonlyMap<string, number>;
  /** Keys are the DNs that connections were bound as; the empty string: anonymous. */
  readonly searchesByDn: ReadonlyMap<string, number>;
  /** The maximum number of open connections on which users had bound. Not more binds of users ran concurrently. */
  readonly maxUserConnections: number;
}

/** The accounts whose binds are not binds of users. */
export interface KnownAccounts {
  /** Operations of connections that are bound as this DN do not count. */
  readonly own: string;
  readonly service: string;
}

interface Counts {
  binds: number;
  searches: number;
  maxUserConnections: number;
  /** The connections that are open now. */
  readonly userConnections: Set<string>;
  readonly bindsByDn: Map<string, number>;
  readonly searchesByDn: Map<string, number>;
}

/** Counts in slapd's log (`-d stats`), which has the line of an operation before its answer is sent. */
export function createOperationCounter(
  logFile: string,
  accounts: KnownAccounts,
): () => Promise<Operations> {
  const counts: Counts = {
    ...{ binds: 0, searches: 0, maxUserConnections: 0 },
    ...{ userConnections: new Set(), bindsByDn: new Map(), searchesByDn: new Map() },
  };
  /** The DN that each connection is bound as. */
  const boundAs = new Map<string, string>();
  let offset = 0;
  let rest = '';

  async function countNew(): Promise<Operations> {
    const { text, end } = await readFrom(logFile, offset);
    offset = end;
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) count(line, boundAs, counts, accounts);
    const { binds, searches, maxUserConnections } = counts;
    return {
      ...{ binds, searches, maxUserConnections },
      bindsByDn: new Map(counts.bindsByDn),
      searchesByDn: new Map(counts.searchesByDn),
    };
  }

  let last: Promise<unknown> = Promise.resolve();
  // Concurrent tests ask at the same time. Each part of the log is read once.
  return () => {
    const counted = last.then(countNew);
    last = counted.catch(() => {});
    return counted;
  };
}

async function readFrom(file: string, offset: number): Promise<{ text: string; end: number }> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(size - offset);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    // The log is ASCII except for DNs, and a line never ends within a character.
    return { text: buffer.toString('latin1', 0, bytesRead), end: offset + bytesRead };
  } finally {
    await handle.close();
  }
}

const operation =
  /conn=(\d+) (?:op|fd)=\d+ (ACCEPT|closed|BIND dn="(.*)" method=128|SRCH base=|RESULT tag=97 err=(\d+))/;

function count(
  line: string,
  boundAs: Map<string, string>,
  counts: Counts,
  { own, service }: KnownAccounts,
): void {
  // A server that starts numbers its connections from the beginning.
  if (line.includes('slapd starting')) {
    boundAs.clear();
    counts.userConnections.clear();
  }
  const [, connection, what, dn, code] = operation.exec(line) ?? [];
  if (connection === undefined) return;
  if (what === 'closed') {
    boundAs.delete(connection);
    counts.userConnections.delete(connection);
    return;
  }
  // slapd's other threads may write ACCEPT after the line of the first bind, and the line of a bind's result after that
  // of the next request. So ACCEPT means nothing, and a bind counts from its request on.
  const name = boundAs.get(connection) ?? '';
  if (dn !== undefined) {
    const newName = Buffer.from(dn, 'latin1').toString('utf8');
    boundAs.set(connection, newName);
    if (newName === own) return;
    counts.binds += 1;
    increase(counts.bindsByDn, newName);
    if (newName === service) return;
    counts.userConnections.add(connection);
    counts.maxUserConnections = Math.max(counts.maxUserConnections, counts.userConnections.size);
  } else if (code !== undefined) {
    if (code !== '0') boundAs.set(connection, '');
  } else if (what !== 'ACCEPT' && name !== own) {
    counts.searches += 1;
    increase(counts.searchesByDn, name);
  }
}

function increase(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

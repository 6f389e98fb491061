import { open } from 'node:fs/promises';

/** What a server was asked since it was made, without what the fixture itself asked it. */
export interface Operations {
  readonly binds: number;
  readonly searches: number;
  /** Keys are DNs as the server writes them: in its own escapes, but letters as the client sent them. */
  readonly bindsByDn: ReadonlyMap<string, number>;
  /** Keys are as whom the connection was bound; the empty string is nobody. */
  readonly searchesByDn: ReadonlyMap<string, number>;
}

interface Counts {
  binds: number;
  searches: number;
  readonly bindsByDn: Map<string, number>;
  readonly searchesByDn: Map<string, number>;
}

/** What slapd's log (`-d stats`) tells of a connection. */
interface Peer {
  boundAs: string;
}

/**
 * Counts from slapd's stats log, which holds the line of an operation before its answer goes out.
 *
 * @param ownDn operations of connections bound as this one are left out
 */
export function createOperationCounter(logFile: string, ownDn: string): () => Promise<Operations> {
  const counts: Counts = { binds: 0, searches: 0, bindsByDn: new Map(), searchesByDn: new Map() };
  const peers = new Map<string, Peer>();
  let offset = 0;
  let rest = '';

  return async () => {
    const { text, end } = await readFrom(logFile, offset);
    offset = end;
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      count(line, peers, counts, ownDn);
    }
    return {
      ...counts,
      bindsByDn: new Map(counts.bindsByDn),
      searchesByDn: new Map(counts.searchesByDn),
    };
  };
}

async function readFrom(file: string, offset: number): Promise<{ text: string; end: number }> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(size - offset);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    // The log is ASCII but for DNs, and a line's end never lies in a character.
    return { text: buffer.toString('latin1', 0, bytesRead), end: offset + bytesRead };
  } finally {
    await handle.close();
  }
}

const operation =
  /conn=(\d+) (?:op|fd)=\d+ (ACCEPT|closed|BIND dn="(.*)" method=128|SRCH base=|RESULT tag=97 err=(\d+))/;

function count(line: string, peers: Map<string, Peer>, counts: Counts, ownDn: string): void {
  // Numbers of connections begin anew then.
  if (line.includes('slapd starting')) peers.clear();
  const [, connection, what, dn, code] = operation.exec(line) ?? [];
  if (connection === undefined || what === undefined) {
    return;
  }
  const peer = peers.get(connection);
  if (what === 'closed') {
    peers.delete(connection);
  } else if (peer === undefined) {
    peers.set(connection, { boundAs: '' });
    if (what !== 'ACCEPT') {
      count(line, peers, counts, ownDn);
    }
  } else if (what === 'ACCEPT') {
    // Another thread writes this line, and on a busy machine after that of the first bind: it says nothing of that.
  } else if (dn !== undefined) {
    const name = Buffer.from(dn, 'latin1').toString('utf8');
    // The line of a bind's result may come after the next request's: slapd writes it once the answer is out.
    peer.boundAs = name;
    if (name !== ownDn) {
      counts.binds += 1;
      increase(counts.bindsByDn, name);
    }
  } else if (code !== undefined) {
    if (code !== '0') peer.boundAs = '';
  } else if (peer.boundAs !== ownDn) {
    counts.searches += 1;
    increase(counts.searchesByDn, peer.boundAs);
  }
}

function increase(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

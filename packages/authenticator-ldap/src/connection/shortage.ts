import { closeSync, openSync } from 'node:fs';

const shortages: Readonly<Record<string, string>> = {
  EMFILE: 'file descriptors: raise the limit of open files (ulimit -n, LimitNOFILE)',
  ENFILE: 'file descriptors of the whole system: raise fs.file-max',
  EBUSY: 'what a name lookup needs, usually file descriptors: raise the limit of open files (ulimit -n, LimitNOFILE)',
  EADDRNOTAVAIL: 'local ports: widen net.ipv4.ip_local_port_range',
  EAGAIN: 'local ports: widen net.ipv4.ip_local_port_range',
  ENOBUFS: 'network buffers: give it more memory',
  ENOMEM: 'memory: give it more',
  EAI_MEMORY: 'memory: give it more',
};

/**
 * What this machine lacked when a connection or a name lookup failed, and how to fix it; undefined for any other cause.
 * A shortage says nothing about the server.
 */
export function shortageOf(error: unknown): string | undefined {
  const all: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  for (const one of all) {
    const { code = '', syscall } = (one ?? {}) as NodeJS.ErrnoException;
    const known = shortages[code] === undefined && isNameLookup(syscall) ? codeOfOpening() : code;
    if (shortages[known] !== undefined) return `this machine is short of ${shortages[known]} (${known})`;
  }
  return undefined;
}

/** A lookup that can't open a file or a socket reports only that there is no such name, or that DNS refused. */
function isNameLookup(syscall: string | undefined): boolean {
  return syscall === 'getaddrinfo' || syscall?.startsWith('query') === true;
}

/** Opens one more file. @returns its error code, empty when it works */
function codeOfOpening(): string {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  }
}

import { ServerError, type ServerErrorKind, type Step } from '../../connection/server-error.ts';
import type {
  BindCredentials,
  BindResult,
  Connect,
  LdapConnection,
  SearchRequest,
  SearchResult,
  Server,
} from '../../connection/types.ts';

/** What a step does: it hangs, fails immediately, or answers with that code. */
export type Behavior = 'hang' | ServerErrorKind | number;

/** A server without a network, for tests of state and time. */
export interface MemoryServer {
  readonly server: Server;
  /** Tests change this and the next two at any time. */
  connecting: Behavior;
  binding: Behavior | ((credentials: BindCredentials) => Behavior | Promise<Behavior>);
  searching: Behavior | ((request: SearchRequest) => Behavior | Promise<Behavior>);
  passwordPolicyError: number | undefined;
  /** How many attempts to connect were made, successful or not. */
  connects: number;
  readonly binds: BindCredentials[];
  readonly searches: SearchRequest[];
  readonly connections: MemoryConnection[];
  readonly openConnections: number;
}

interface MemoryConnection extends LdapConnection {
  /** Closes the connection without a message, as the server. */
  end(): void;
  /** Makes the connection silent from now on. */
  deaden(): void;
}

export function memoryServer(name: string): MemoryServer {
  const memory: MemoryServer = {
    server: { url: `ldaps://${name}:636`, host: name, port: 636, security: 'ldaps' },
    connecting: 0,
    binding: 0,
    searching: 0,
    passwordPolicyError: undefined,
    connects: 0,
    binds: [],
    searches: [],
    connections: [],
    get openConnections() {
      return memory.connections.filter(({ isOpen }) => isOpen).length;
    },
  };
  return memory;
}

/** Makes a `Connect` to these servers, by their URL. */
export function memoryConnect(servers: readonly MemoryServer[]): Connect {
  return async ({ server, signal, stepTimeout }) => {
    const memory = servers.find((one) => one.server.url === server.url);
    if (memory === undefined) throw new Error(`There is no ${server.url}.`);
    memory.connects++;
    signal.throwIfAborted();
    await behave(memory, 'connect', memory.connecting, signal, stepTimeout);
    const connection = memoryConnection(memory, stepTimeout);
    memory.connections.push(connection);
    return connection;
  };
}

function memoryConnection(memory: MemoryServer, timeout: number): MemoryConnection {
  const listeners: (() => void)[] = [];
  let isOpen = true;
  let isDead = false;
  let isBusy = false;
  const closed = new AbortController();
  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    closed.abort(new ServerError('closed', 'search', `${memory.server.url}: closed here`));
    for (const listener of listeners) listener();
  };
  const operate = async (
    step: Step,
    behavior: () => Behavior | Promise<Behavior>,
    signal: AbortSignal,
  ) => {
    if (isBusy) throw new Error('This connection is busy.');
    if (!isOpen)
      throw new ServerError('closed', step, `${memory.server.url}: ${step}: closed before`);
    isBusy = true;
    try {
      signal.throwIfAborted();
      return await behave(
        memory,
        step,
        isDead ? 'hang' : await behavior(),
        AbortSignal.any([signal, closed.signal]),
        timeout,
      );
    } catch (error) {
      close();
      throw error;
    } finally {
      isBusy = false;
    }
  };
  const asked = <T>(script: Behavior | ((asked: T) => Behavior | Promise<Behavior>), what: T) =>
    typeof script === 'function' ? script(what) : script;
  return {
    async bind(credentials, signal): Promise<BindResult> {
      memory.binds.push(credentials);
      const code = await operate('bind', () => asked(memory.binding, credentials), signal);
      const { passwordPolicyError: error } = memory;
      const policy = error === undefined ? {} : { passwordPolicyError: error };
      return { code, diagnosticMessage: '', passwordMustChange: false, ...policy };
    },
    async search(request, signal): Promise<SearchResult> {
      memory.searches.push(request);
      const code = await operate('search', () => asked(memory.searching, request), signal);
      return { code, diagnosticMessage: '', entries: [] };
    },
    get isOpen() {
      return isOpen;
    },
    onClose(listener) {
      if (isOpen) listeners.push(listener);
      else listener();
    },
    close,
    end: close,
    deaden() {
      isDead = true;
    },
  };
}

function behave(
  { server }: MemoryServer,
  step: Step,
  behavior: Behavior,
  signal: AbortSignal,
  timeout: number,
): Promise<number> {
  if (typeof behavior === 'number') return Promise.resolve(behavior);
  const errorOf = (kind: ServerErrorKind) =>
    new ServerError(kind, step, `${server.url}: ${step}: ${kind}`);
  if (behavior !== 'hang') return Promise.reject(errorOf(behavior));
  return new Promise((_resolve, reject) => {
    const end = (reason: unknown) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      reject(reason);
    };
    const abort = () => end(signal.reason);
    const timer = setTimeout(() => end(errorOf('timeout')), timeout);
    signal.addEventListener('abort', abort, { once: true });
  });
}

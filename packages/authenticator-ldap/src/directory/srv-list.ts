import { isDeepStrictEqual } from 'node:util';
import { AuthenticatorError, type Logger } from '@sallyport/authenticator';
import { shortageOf } from '../connection/shortage.ts';
import type { Server } from '../connection/types.ts';
import type { SrvOptions } from '../options/types.ts';
import type { Scopes } from './call-scope.ts';
import { orAborted } from './or-aborted.ts';
import type { ResolveSrv } from './resolve-srv.ts';
import { preferred, type ServerList } from './server-list.ts';
import { drawOrder, type SrvServer, type SrvServers, srvServers } from './srv-records.ts';
import { inWords } from './words.ts';

export interface SrvListSettings {
  readonly srv: SrvOptions;
  readonly order: 'listed' | 'spread';
  /** A name is set that certificates are checked against, whatever the target is. */
  readonly anyTarget: boolean;
  /** Milliseconds for one lookup. */
  readonly timeout: number;
}

export interface SrvListDependencies {
  readonly resolve: ResolveSrv;
  readonly scopes: Scopes;
  readonly logger: Logger;
  readonly now: () => number;
  readonly random: () => number;
  /** Told of each new list, before anyone gets it. */
  readonly onChange: (servers: readonly Server[]) => void;
}

/** `node:dns` does not tell how long an answer may be kept. */
const refreshAfter = 60_000;
/** A lookup that failed is not made again at once, as each login would make it. */
const retryAfter = 5_000;
const mostTargets = 16;

/**
 * The servers that SRV records name, looked up at the first call and again in the background when a call finds them
 * old. What a failed lookup leaves is the list of before.
 */
export function createSrvList(settings: SrvListSettings, dependencies: SrvListDependencies): ServerList {
  const { now, random, onChange } = dependencies;
  let known: readonly SrvServer[] = [];
  let taken: SrvServers | undefined;
  let failure: Error | undefined;
  let nextLookup = Number.NEGATIVE_INFINITY;
  let lookup: Promise<void> | undefined;

  const take = (found: SrvServers) => {
    // Drawn anew only when the records have changed: each draw may move logins to other servers, and pools with them.
    if (isDeepStrictEqual(found, taken)) return;
    taken = found;
    known = drawOrder(found.servers, random).slice(0, mostTargets);
    tellLeftOut(found, settings, dependencies);
    onChange(known.map(({ server }) => server));
  };
  const start = () => {
    lookup ??= lookUp(settings, dependencies)
      .then(take)
      .then(
        () => {
          failure = undefined;
          nextLookup = now() + refreshAfter;
        },
        (error: Error) => {
          if (failure === undefined) warn(error, settings, dependencies, known.length);
          failure = error;
          nextLookup = now() + retryAfter;
        },
      )
      .finally(() => {
        lookup = undefined;
      });
  };

  return {
    async inOrder({ signal, prefer }) {
      if (now() >= nextLookup) start();
      if (known.length === 0 && lookup !== undefined) await orAborted(lookup, signal);
      if (known.length === 0) throw failure ?? new AuthenticatorError('unavailable', 'no directory server is known');
      const order = settings.order === 'spread' && prefer === undefined ? drawOrder(known, random) : known;
      return preferred(
        order.map(({ server }) => server),
        prefer,
      );
    },
    async close() {
      await lookup;
    },
  };
}

/** @throws AuthenticatorError `unavailable`, or `failed` when this machine could not ask; in plain words, with the fix */
async function lookUp(settings: SrvListSettings, dependencies: SrvListDependencies): Promise<SrvServers> {
  const { srv, anyTarget, timeout } = settings;
  const late = () => new Error(`no answer of DNS within ${inWords(timeout)}`);
  const scope = dependencies.scopes.openFor(timeout, late);
  try {
    const records = await orAborted(dependencies.resolve(srv.name, scope.signal), scope.signal);
    const { servers, strangers } = srvServers(records, srv, anyTarget);
    if (servers.length > 0) return { servers: servers.toSorted(byUrl), strangers: strangers.toSorted() };
    if (strangers.length === 0) throw new Error('DNS says that there is no such service');
    const some = strangers.slice(0, 3).join(', ');
    throw new Error(`its targets (${some}) are outside of its domain: if that is right, set serverName`);
  } catch (error) {
    const reason = scope.signal.aborted ? scope.signal.reason : error;
    const short = shortageOf(reason);
    const text = short ?? (reason instanceof Error ? reason.message : String(reason));
    throw new AuthenticatorError(
      short === undefined ? 'unavailable' : 'failed',
      `the SRV records ${srv.name} give no directory server: ${text}`,
    );
  } finally {
    scope.end();
  }
}

function warn(error: Error, { srv }: SrvListSettings, { logger }: SrvListDependencies, kept: number): void {
  logger.warn(
    { srv: srv.name, reason: error.message, kept },
    'the SRV lookup failed; the servers known before are kept',
  );
}

function tellLeftOut(found: SrvServers, { srv }: SrvListSettings, { logger }: SrvListDependencies): void {
  if (found.strangers.length > 0) {
    const targets = found.strangers.slice(0, mostTargets);
    logger.warn(
      { srv: srv.name, targets },
      'SRV targets outside of their domain are not asked, unless serverName is set',
    );
  }
  if (found.servers.length > mostTargets) {
    logger.warn({ srv: srv.name, targets: found.servers.length }, `of the SRV targets only ${mostTargets} are asked`);
  }
}

/** An order that does not depend on the answer's: name servers rotate it. */
function byUrl(one: SrvServer, other: SrvServer): number {
  return one.server.url < other.server.url ? -1 : 1;
}

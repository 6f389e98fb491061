import type { SrvRecord } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { isDeepStrictEqual } from 'node:util';
import { AuthenticatorError, type Logger } from '@sallyport/authenticator';
import { durationText, within } from '@sallyport/plugin-kit';
import { describeShortage } from '../connection/socket.ts';
import type { Server } from '../connection/types.ts';
import type { LdapOptions, SrvOptions } from '../options/types.ts';

interface QueryOptions {
  readonly signal: AbortSignal;
  readonly prefer?: Server;
}

export function createListedServers(
  servers: readonly Server[],
  order: 'listed' | 'spread',
  random: () => number,
) {
  // The first turn is random, so that the replicas of a gateway do not all begin with the same server.
  let turn = Math.floor(random() * servers.length);
  return {
    async inOrder({ prefer }: QueryOptions): Promise<readonly Server[]> {
      if (order === 'listed') return preferred(servers, prefer);
      // A step that prefers a server belongs to a login that was counted at its first step.
      if (prefer === undefined) turn = (turn + 1) % servers.length;
      return preferred([...servers.slice(turn), ...servers.slice(0, turn)], prefer);
    },
    async close(): Promise<void> {},
  };
}

function preferred(servers: readonly Server[], prefer: Server | undefined): readonly Server[] {
  const preferredServer = servers.find(({ url }) => url === prefer?.url);
  return preferredServer === undefined
    ? servers
    : [preferredServer, ...servers.filter((server) => server !== preferredServer)];
}

export interface SrvList {
  readonly srv: SrvOptions;
  readonly options: Pick<LdapOptions, 'order' | 'serverTimeout' | 'tls'>;
  readonly resolve: ResolveSrv;
  readonly closing: AbortSignal;
  readonly logger: Logger;
  readonly now: () => number;
  readonly random: () => number;
  /** Is called with each new list before any caller gets it. */
  readonly onChange: (servers: readonly Server[]) => void;
}

/** The milliseconds after which records are looked up again. `node:dns` does not say how long an answer is valid. */
const refreshAfter = 60_000;
/** The milliseconds after which a lookup that failed is repeated. Otherwise each login would repeat it. */
const retryAfter = 5_000;
const maxTargets = 16;

/**
 * Creates the list of the servers that SRV records name. The first call looks them up, and calls
 * more than a minute later do so again in the background. A failed lookup leaves the list as it
 * was.
 */
export function createSrvList(list: SrvList) {
  const { srv, options, logger, now, random, onChange } = list;
  let targets: readonly SrvServer[] = [];
  let current: SrvServers | undefined;
  let failure: Error | undefined;
  let nextLookup = Number.NEGATIVE_INFINITY;
  let lookup: Promise<void> | undefined;

  const take = (records: SrvServers) => {
    // The order is drawn again only when the records have changed: each draw may move logins and pools to other servers.
    if (isDeepStrictEqual(records, current)) return;
    current = records;
    targets = drawOrder(records.servers, random).slice(0, maxTargets);
    warnOfOmitted(records, list);
    onChange(targets.map(({ server }) => server));
  };
  const refresh = async () => {
    try {
      take(await lookUp(list));
      failure = undefined;
      nextLookup = now() + refreshAfter;
    } catch (error) {
      const fields = { srv: srv.name, reason: (error as Error).message, servers: targets.length };
      if (failure === undefined)
        logger.warn(fields, 'SRV lookup failed: the previous servers stay in use');
      failure = error as Error;
      nextLookup = now() + retryAfter;
    } finally {
      lookup = undefined;
    }
  };

  return {
    /** @throws AuthenticatorError `unavailable` when no server is known, and the reason of the signal */
    async inOrder({ signal, prefer }: QueryOptions): Promise<readonly Server[]> {
      if (now() >= nextLookup) lookup ??= refresh();
      if (targets.length === 0 && lookup !== undefined) await within({ signal }, () => lookup);
      if (targets.length === 0)
        throw failure ?? new AuthenticatorError('unavailable', 'no directory server is known');
      const order =
        options.order === 'spread' && prefer === undefined ? drawOrder(targets, random) : targets;
      const servers = order.map(({ server }) => server);
      return preferred(servers, prefer);
    },
    async close(): Promise<void> {
      await lookup;
    },
  };
}

/** Looks the records up. @throws AuthenticatorError `unavailable`, or `failed` when this machine could not ask */
async function lookUp({ srv, options, resolve, closing }: SrvList): Promise<SrvServers> {
  const limit = 3 * options.serverTimeout;
  const late = () => new Error(`DNS did not answer within ${durationText(limit)}`);
  const giveUp = new AbortController();
  try {
    const look = () => resolve(srv.name, AbortSignal.any([closing, giveUp.signal]));
    const records = await within({ signal: closing, limit, late }, look);
    const { servers, foreign } = srvServers(records, srv, options.tls.serverName !== undefined);
    // The order is fixed here, since name servers rotate the order of their answers.
    const inOrder = servers.toSorted((a, b) => (a.server.url < b.server.url ? -1 : 1));
    if (servers.length > 0) return { servers: inOrder, foreign: foreign.toSorted() };
    if (foreign.length === 0) throw new Error('DNS has no such service');
    const examples = foreign.slice(0, 3).join(', ');
    throw new Error(
      `its targets (${examples}) are outside of its domain: if that is intended, set serverName`,
    );
  } catch (error) {
    const short = describeShortage(error);
    const text = short ?? (error instanceof Error ? error.message : String(error));
    const code = short === undefined ? 'unavailable' : 'failed';
    throw new AuthenticatorError(
      code,
      `the SRV records ${srv.name} give no directory server: ${text}`,
    );
  } finally {
    giveUp.abort();
  }
}

function warnOfOmitted(records: SrvServers, { srv, logger }: SrvList): void {
  if (records.foreign.length > 0) {
    const fields = { srv: srv.name, targets: records.foreign.slice(0, maxTargets) };
    logger.warn(
      fields,
      'SRV targets outside of their domain are not used: set serverName to use them',
    );
  }
  if (records.servers.length > maxTargets) {
    const fields = { srv: srv.name, targets: records.servers.length, used: maxTargets };
    logger.warn(fields, 'too many SRV targets: only the first ones are used');
  }
}

interface SrvServer {
  readonly server: Server;
  readonly priority: number;
  readonly weight: number;
}

interface SrvServers {
  /** The servers, each host and port once. */
  readonly servers: readonly SrvServer[];
  /** The targets outside of the domain, which must not be used. */
  readonly foreign: readonly string[];
}

/**
 * Reads the servers from the records. A target must be the domain of the SRV name itself or below
 * it: the certificate is checked against the target, so a forged answer could otherwise choose
 * whose certificate is valid. `anyTarget` allows all targets, for certificates that are checked
 * against a fixed name.
 *
 * The target `.` means that there is no such service. It gives no server.
 */
export function srvServers(
  records: readonly SrvRecord[],
  srv: SrvOptions,
  anyTarget: boolean,
): SrvServers {
  // The domain follows the last label with an underscore: example.com of _ldap._tcp.site._sites.dc._msdcs.example.com
  const labels = plainName(srv.name).split('.');
  const domain = labels.slice(labels.findLastIndex((label) => label.startsWith('_')) + 1).join('.');
  const servers = new Map<string, SrvServer>();
  const foreign: string[] = [];
  for (const { name, port, priority, weight } of records) {
    const host = plainName(name);
    if (host === '' || port === 0) continue;
    if (!anyTarget && host !== domain && !host.endsWith(`.${domain}`)) {
      foreign.push(host);
      continue;
    }
    const url = `${srv.security === 'ldaps' ? 'ldaps' : 'ldap'}://${host}:${port}`;
    const server: Server = { url, host, port, security: srv.security };
    if (!servers.has(url)) servers.set(url, { server, priority, weight });
  }
  return { servers: [...servers.values()], foreign };
}

/**
 * Draws an order as RFC 2782 has it: by priority, and within a priority at random by weight.
 * Servers of weight 0 have a very small chance to come before others. Each server waits for a
 * random time, which is shorter the greater its weight is.
 */
export function drawOrder(
  servers: readonly SrvServer[],
  random: () => number,
): readonly SrvServer[] {
  return servers
    .map((server) => ({ server, time: -Math.log(1 - random()) / Math.max(server.weight, 0.01) }))
    .sort((a, b) => a.server.priority - b.server.priority || a.time - b.time)
    .map(({ server }) => server);
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

export type ResolveSrv = (name: string, signal: AbortSignal) => Promise<readonly SrvRecord[]>;

/** @param timeout milliseconds until the next name server is asked */
export function createSrvResolver(nameServers: readonly string[], timeout: number): ResolveSrv {
  return (name, signal) => {
    // Each lookup has its own resolver, since `cancel` ends all lookups of a resolver.
    const resolver = new Resolver({ timeout, tries: 2 });
    if (nameServers.length > 0) resolver.setServers([...nameServers]);
    return within({ signal }, () => resolver.resolveSrv(name)).finally(() => resolver.cancel());
  };
}

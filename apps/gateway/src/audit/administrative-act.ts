import type { Entry } from '../revocation/types.ts';

/** What a line says of a block, an unblock or a revocation that this replica has learned of. */
export interface AdministrativeAct {
  readonly event: Entry['action'];
  readonly kind: Entry['kind'];
  /** As Kubernetes sees it. Of a token the first digits of its SHA-256, as `blocks` and `token list` show it. */
  readonly name: string | undefined;
  readonly by: string;
  readonly reason: string | undefined;
  /** When it was done, by the clock of Redis. */
  readonly at: string;
  /** When a block ends. */
  readonly until: string | undefined;
  /** It was done before this process started, so an earlier process may have a line of it too. */
  readonly beforeStart: true | undefined;
}

const shortDigest = 12;

/** @param startedAt of this process, milliseconds since 1970 */
export function administrativeAct(entry: Entry, startedAt: number): AdministrativeAct {
  const { action, kind, name, by, reason, at, until } = entry;
  const names: Readonly<Record<Entry['kind'], string | undefined>> = {
    ...{ user: name, group: name },
    ...{ token: name.slice(0, shortDigest), all: undefined },
  };
  return {
    ...{ event: action, kind, name: names[kind], by, reason, at: new Date(at).toISOString() },
    until: action === 'block' ? new Date(until).toISOString() : undefined,
    beforeStart: at < startedAt || undefined,
  };
}

/** The same for one act, also where a replica has written it back to Redis under another id. */
export function actKey({ action, kind, name, at, by }: Entry): string {
  return JSON.stringify([action, kind, name, at, by]);
}

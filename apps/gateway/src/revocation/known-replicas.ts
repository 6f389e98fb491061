import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { openReplica } from './replica.ts';
import { replicasScript, revocationKeys } from './scripts.ts';

/** A gateway that has told of itself. */
export interface KnownReplica {
  readonly id: string;
  /** Milliseconds since 1970 by Redis' clock. */
  readonly heardAt: number;
  /** The digest of the list that it has taken in; undefined when it seals with a key that is not known here. */
  readonly applied: string | undefined;
}

export interface ReplicaListing {
  /** Redis' time, milliseconds since 1970. */
  readonly now: number;
  /** Of the list, '' where there is none. */
  readonly revision: string;
  readonly replicas: readonly KnownReplica[];
}

/** @throws RedisProblem */
export async function readReplicas(redis: ProbedRedis): Promise<ReplicaListing> {
  const keys = revocationKeys(redis.keyPrefix);
  const reply = await redis.probe('revocations', (client) =>
    client.eval(replicasScript, 2, keys.revision, keys.replicas),
  );
  const [revision, time, pairs] = reply as [string, string, string[]];
  const replicas: KnownReplica[] = [];
  for (let at = 0; at < pairs.length; at += 2) {
    const [id = '', value = ''] = pairs.slice(at, at + 2);
    const [heardAt = '', sealed = ''] = value.split(' ');
    replicas.push({ id, heardAt: Number(heardAt), applied: openReplica(id, sealed, redis.sealingKeys)?.applied });
  }
  return { now: Number(time), revision, replicas };
}

/** So many at a time: a call with very many breaks. */
const mostForgotten = 1_000;

/** Removes replicas that are gone for good. One that is not comes back by itself. */
export async function forgetReplicas(redis: ProbedRedis, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const { replicas } = revocationKeys(redis.keyPrefix);
  await redis.probe('revocations', (client) => client.hdel(replicas, ...ids.slice(0, mostForgotten)));
}

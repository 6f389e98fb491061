import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { open, type SealingKey, seal } from '../sealing/seal.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { replicasScript, revocationKeys } from './scripts.ts';

/** Its host, and a suffix that no other process has. */
export function newReplicaId(): string {
  return `${hostname()}-${randomBytes(4).toString('hex')}`;
}

/**
 * What a replica reports of itself, sealed, so that no one else can confirm what it has not merged.
 *
 * @param applied the digest of the list that it holds, when it has merged the list as a whole; else ''
 */
export function sealApplied(id: string, applied: string, key: SealingKey): string {
  return seal(keyFor(key), id, Buffer.from(applied)).toString('base64');
}

function openApplied(id: string, sealed: string, keys: readonly SealingKey[]): string | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  return keys
    .map((key) => open(keyFor(key), id, bytes))
    .find((plain) => plain !== undefined)
    ?.toString();
}

function keyFor(key: SealingKey): Uint8Array {
  return key.derive('revocation replicas');
}

/** A gateway that has reported itself. */
export interface KnownReplica {
  readonly id: string;
  /** When it last reported: milliseconds since 1970 by Redis' clock. */
  readonly heardAt: number;
  /** See {@link sealApplied}; undefined when it seals with a key that is not known here. */
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
    replicas.push({ id, heardAt: Number(heardAt), applied: openApplied(id, sealed, redis.sealingKeys) });
  }
  return { now: Number(time), revision, replicas };
}

/** Replicas that one call forgets: a call with very many breaks. */
const mostForgotten = 1_000;

/** Removes replicas that are gone for good. One that is not comes back by itself. */
export async function forgetReplicas(redis: ProbedRedis, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const { replicas } = revocationKeys(redis.keyPrefix);
  await redis.probe('revocations', (client) => client.hdel(replicas, ...ids.slice(0, mostForgotten)));
}

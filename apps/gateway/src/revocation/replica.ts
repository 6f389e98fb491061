import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { open, seal } from '../sealing/seal.ts';
import type { SealingKey } from '../sealing/sealing-key.ts';

/** What one gateway tells of itself. */
export interface Replica {
  /** Its host, and something that no other process has. */
  readonly id: string;
  /** The digest of the list that it holds, when it has taken it in as a whole; else ''. */
  readonly applied: string;
}

export function newReplicaId(): string {
  return `${hostname()}-${randomBytes(4).toString('hex')}`;
}

/** Sealed, so that nobody else can confirm what a replica has not taken in. */
export function sealReplica({ id, applied }: Replica, key: SealingKey): string {
  return seal(keyFor(key), id, Buffer.from(applied)).toString('base64');
}

/** @returns undefined when none of the keys opens it */
export function openReplica(id: string, sealed: string, keys: readonly SealingKey[]): Replica | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  const applied = keys.map((key) => open(keyFor(key), id, bytes)).find((plain) => plain !== undefined);
  return applied && { id, applied: applied.toString() };
}

function keyFor(key: SealingKey): Uint8Array {
  return key.derive('revocation replicas');
}

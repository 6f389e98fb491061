import { open, seal } from '../sealing/seal.ts';
import type { SealingKey } from '../sealing/sealing-key.ts';
import type { Entry } from './types.ts';

// An entry stands in Redis once for each sealing key, so that one key after the other can be changed: whoever knows one
// of them reads it. Each copy is a field of the list's hash, `keptUntil.id.tag-of-the-key`. The time stands there in clear,
// for those who know none of the keys any more to tell what may go.

/** What the name of a field says. */
export interface FieldName {
  readonly keptUntil: number;
  readonly id: string;
  readonly tag: string;
}

export function fieldName({ keptUntil, id }: Pick<Entry, 'keptUntil' | 'id'>, { tag }: SealingKey): string {
  return `${keptUntil}.${id}.${tag}`;
}

/** @returns undefined for what is not ours */
export function parseFieldName(field: string): FieldName | undefined {
  const pattern = /^(?<keptUntil>\d{1,16})\.(?<id>[\w-]{1,64})\.(?<tag>[0-9a-f]{16})$/;
  const { keptUntil, id, tag } = pattern.exec(field)?.groups ?? {};
  if (keptUntil === undefined || id === undefined || tag === undefined) return undefined;
  return { keptUntil: Number(keptUntil), id, tag };
}

export function sealEntry(entry: Entry, key: SealingKey): string {
  return seal(keyFor(key), fieldName(entry, key), Buffer.from(JSON.stringify(entry))).toString('base64');
}

/** @returns undefined for whatever was not sealed with that key for that field */
export function openEntry(field: string, value: string, key: SealingKey): Entry | undefined {
  const plain = open(keyFor(key), field, Buffer.from(value, 'base64'));
  if (plain === undefined) return undefined;
  // Sealed with our key, so written by us; a later version may write what this one does not know.
  try {
    const entry: unknown = JSON.parse(plain.toString());
    return isEntry(entry) ? entry : undefined;
  } catch {
    return undefined;
  }
}

function keyFor(key: SealingKey): Uint8Array {
  return key.derive('revocation entries');
}

const actions: readonly unknown[] = ['revoke', 'block', 'unblock', 'unlock'] satisfies Entry['action'][];
const kinds: readonly unknown[] = ['user', 'group', 'token', 'all'] satisfies Entry['kind'][];

function isEntry(value: unknown): value is Entry {
  const {
    id,
    action,
    kind,
    name,
    revision,
    at,
    until,
    keptUntil,
    by,
    reason = '',
  } = Object(value) as Record<keyof Entry, unknown>;
  const texts = [id, name, by, reason].every((text) => typeof text === 'string');
  return (
    texts &&
    actions.includes(action) &&
    kinds.includes(kind) &&
    [revision, at, until, keptUntil].every(Number.isSafeInteger)
  );
}

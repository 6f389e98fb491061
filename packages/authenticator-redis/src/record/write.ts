import { fieldNames } from './schema.ts';
import type { TokenRecord } from './types.ts';

const moments: ReadonlySet<string> = new Set(['notBefore', 'expiresAt', 'issuedAt', 'revokedAt']);

/** The fields of a record as they are written: in a fixed order, moments as RFC 3339 in UTC. */
export function writtenFields(record: Partial<TokenRecord>): readonly (readonly [name: string, value: unknown])[] {
  const values = new Map(Object.entries(record));
  return fieldNames.flatMap((name) => {
    const value: unknown = values.get(name);
    if (value === undefined) return [];
    return [[name, moments.has(name) ? new Date(Number(value)).toISOString() : value] as const];
  });
}

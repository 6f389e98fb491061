import type { Filter } from './types.ts';

/** Holds for every entry (RFC 4512 section 2.4.1): for looking whether one is there. */
export const anyEntry: Filter = { kind: 'present', attribute: 'objectClass' };

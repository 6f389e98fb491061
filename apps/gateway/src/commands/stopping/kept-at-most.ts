/**
 * How long a revocation is remembered, in milliseconds: as long as what it revokes may lie in any cache, whatever config
 * that one has or will have. `authenticatedTtl` and `staleTtl` are 24 hours at most each (config/cache/lifetimes.ts), and
 * one more is for clocks.
 */
export const keptAtMost: number = (24 + 24 + 1) * 3_600_000;

import type { ReloadSource } from '../../metrics/process-metrics.ts';
import type { RefusedReload } from './document.ts';

/** What is on disk and not in force. */
export interface Refusals {
  /** `problems`: none when it was taken in. */
  reloaded(source: ReloadSource, problems: readonly string[]): void;
  /** Newest first. */
  list(): readonly RefusedReload[];
}

/**
 * Each source is remembered by itself; a config that is taken in makes all good, since it was made with everything that
 * it names. The same rule as `createReloadMetrics` has, which counts and knows no reasons.
 *
 * @param wall milliseconds since 1970
 */
export function createRefusals(wall: () => number): Refusals {
  const refused = new Map<ReloadSource, RefusedReload>();
  return {
    reloaded(source, problems) {
      refused.delete(source);
      if (problems.length > 0) refused.set(source, { what: nameOf(source), at: wall(), problems });
      else if (source === 'config') refused.clear();
    },
    list: () => [...refused.values()].reverse(),
  };
}

function nameOf(source: ReloadSource): string {
  return typeof source === 'string' ? source : source.file;
}

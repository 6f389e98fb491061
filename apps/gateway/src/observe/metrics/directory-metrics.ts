import type { Registry } from 'prom-client';
import type { GatewayConfig } from '../../config/types.ts';
import type { DirectoryResult } from '../../engine/directory/directory-user.ts';
import { byLabel, createFamilies, createNamedCounts, fillRecord } from './families.ts';

const results: readonly DirectoryResult[] = ['found', 'missing', 'refused', 'error', 'stale'];

/** Counts what directories answer about users of tokens. Without an authenticator with `directory` there are no series. */
export function createDirectoryMetrics(registry: Registry) {
  const lookups = createNamedCounts('authenticator', () => fillRecord(results, () => 0));
  createFamilies(registry).counter(
    'sallyport_directory_lookups_total',
    'Times that a directory was asked for the user of a token, by the authenticator of the token and by result; answers from its cache are not counted. A rise of missing means users without an account; of refused, accounts that are disabled, locked or expired; of error, that the directory could not be asked; of stale, reviews that were answered with its last answer. Absent without directory.',
    () => lookups.listSeries((counts, labels) => byLabel('result', counts, labels)),
  );
  return {
    /** Counts a result, unless a reload has removed the authenticator or its `directory`. It never throws. */
    onLookedUp(authenticator: string, result: DirectoryResult): void {
      const counts = lookups.get(authenticator);
      if (counts !== undefined) counts[result] += 1;
    },
    /** Counts the authenticators of this config that have a directory, and no others. */
    follow({ authenticators }: FollowedConfig): void {
      lookups.follow(authenticators.flatMap(({ name, directory }) => (directory ? [name] : [])));
    },
  };
}

interface FollowedConfig {
  readonly authenticators: readonly Pick<
    GatewayConfig['authenticators'][number],
    'name' | 'directory'
  >[];
}

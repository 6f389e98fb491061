import type { ServerInfo } from '@sallyport/redis-connection';

/**
 * Says why a server may lose its data, as far as INFO shows it. INFO does not show save points: whether a snapshot will be
 * made is known only after one was made.
 *
 * @param what the server stores
 */
export function lossRisks(info: ServerInfo, what: 'tokens' | 'sessions'): readonly string[] {
  return [evictionRisk(info, what), persistenceRisk(info, what)].filter(
    (problem) => problem !== undefined,
  );
}

function evictionRisk({ maxmemory_policy: policy }: ServerInfo, what: string): string | undefined {
  if (policy === 'noeviction') return undefined;
  return policy === undefined
    ? `INFO does not show maxmemory_policy, so it is unknown whether it drops ${what} when its memory is full`
    : `maxmemory-policy ${policy} may drop ${what} when its memory is full: set maxmemory-policy noeviction`;
}

const fix = 'set appendonly yes (docs/redis.md)';

function persistenceRisk(info: ServerInfo, what: string): string | undefined {
  const { aof_enabled: aof, rdb_last_bgsave_time_sec: lastSnapshot, rdb_last_save_time: at } = info;
  if (aof === '1') return undefined;
  if (aof === undefined)
    return `INFO does not show aof_enabled, so it is unknown whether a restart loses ${what}`;
  // rdb_last_bgsave_time_sec is -1 until a snapshot was made, and rdb_last_save_time is the time of the start until then.
  if (lastSnapshot === '-1') {
    return `it has no append-only file, and has made no snapshot since it started: without save points, a restart loses all ${what}: ${fix}`;
  }
  const since = /^\d+$/.test(at ?? '') ? `, at ${new Date(Number(at) * 1000).toISOString()}` : '';
  return (
    `it has no append-only file: a crash loses what was written after its last snapshot${since}. ` +
    `${what === 'tokens' ? 'Tokens' : 'Sessions'} are unknown then, and revoked ones are valid again: ${fix}`
  );
}

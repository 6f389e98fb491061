import type { ServerInfo } from '@sallyport/redis-connection';

/**
 * Says why a server may lose its data, as far as INFO shows it. INFO does not show save points: whether a snapshot will be
 * made is known only after one was made.
 *
 * @param recordKind what the server stores
 */
export function lossRisks(info: ServerInfo, recordKind: 'tokens' | 'sessions'): readonly string[] {
  return [evictionRisk(info, recordKind), persistenceRisk(info, recordKind)].filter(
    (problem) => problem !== undefined,
  );
}

function evictionRisk(
  { maxmemory_policy: policy }: ServerInfo,
  recordKind: string,
): string | undefined {
  if (policy === 'noeviction') return undefined;
  return policy === undefined
    ? `INFO does not show maxmemory_policy, so it is unknown whether it drops ${recordKind} when its memory is full`
    : `maxmemory-policy ${policy} may drop ${recordKind} when its memory is full: set maxmemory-policy noeviction`;
}

const fix = 'set appendonly yes (docs/redis.md)';

function persistenceRisk(info: ServerInfo, recordKind: string): string | undefined {
  const {
    aof_enabled: aof,
    rdb_last_bgsave_time_sec: lastSnapshot,
    rdb_last_save_time: lastSave,
  } = info;
  if (aof === '1') return undefined;
  if (aof === undefined)
    return `INFO does not show aof_enabled, so it is unknown whether a restart loses ${recordKind}`;
  // rdb_last_bgsave_time_sec is -1 until a snapshot was made, and rdb_last_save_time is the time of the start until then.
  if (lastSnapshot === '-1') {
    return `it has no append-only file, and has made no snapshot since it started: without save points, a restart loses all ${recordKind}: ${fix}`;
  }
  const since = /^\d+$/.test(lastSave ?? '')
    ? `, at ${new Date(Number(lastSave) * 1000).toISOString()}`
    : '';
  return (
    `it has no append-only file: a crash loses what was written after its last snapshot${since}. ` +
    `${recordKind === 'tokens' ? 'Tokens' : 'Sessions'} are unknown then, and revoked ones are valid again: ${fix}`
  );
}

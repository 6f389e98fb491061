import { loadConfig } from '../../config/load.ts';
import { printable } from '../../logging/printable.ts';
import { blocksIn } from '../../revocation/list.ts';
import { readListing } from '../../revocation/redis-list.ts';
import type { Entry } from '../../revocation/types.ts';
import { configFile } from '../config-file.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { humanDuration } from '../human-duration.ts';
import { type OutputFormat, printJson, printTable } from '../output.ts';
import { shortDigest } from '../token/issued-token.ts';
import { needCacheRedis, withCacheRedis } from './cache-redis.ts';
import { entryJson, momentText, tellRemarks, unreadableRemark } from './confirmation-report.ts';

export interface BlocksOptions {
  readonly config?: string;
  readonly output: OutputFormat;
}

/** Lists who is blocked. */
export async function listBlocks(options: BlocksOptions): Promise<ExitCode> {
  const config = await loadConfig(configFile(options.config).file, process.env);
  const listing = await withCacheRedis(needCacheRedis(config, 'blocks'), readListing);
  const blocks = blocksIn(listing);
  if (options.output === 'json') printJson({ blocks: blocks.map(entryJson), unreadable: listing.unreadable });
  else if (blocks.length > 0) printRows(blocks, listing.now);
  else process.stderr.write('sallyport: nobody is blocked\n');
  tellRemarks(unreadableRemark(listing.unreadable));
  return exitCodes.success;
}

function printRows(blocks: readonly Entry[], now: number): void {
  const rows = blocks.map(({ kind, name, at, until, by, reason }) => [
    kind,
    kind === 'token' ? shortDigest(name) : name,
    momentText(until),
    humanDuration(until - now),
    by,
    momentText(at),
    reason ?? '',
  ]);
  printTable(
    ['KIND', 'NAME', 'UNTIL', 'REMAINING', 'BY', 'AT', 'REASON'],
    rows.map((row) => row.map(printable)),
  );
}

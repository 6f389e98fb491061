import type { FactorStore } from '../../login/factors/factor-store.ts';
import type { CommandContext } from '../context.ts';
import type { ReadOptions } from '../options.ts';
import { exitCodes, printJson } from '../output.ts';
import { readAll, remarkUnreadable } from './list.ts';
import { loadFactorConfig, needFactorStore } from './open-factors.ts';

/** Seals each record with the first sealing key, so that the older keys can be removed. */
export async function resealFactors(context: CommandContext, options: ReadOptions) {
  const config = await loadFactorConfig(context, options, 'factor reseal');
  let resealed = 0;
  const reseal = async (store: FactorStore) => {
    const storedRecords = await readAll(store);
    for (const { record } of storedRecords.readable.filter(({ hasOlderKey }) => hasOlderKey)) {
      await store.change(record.user, (current) => ({ record: current, result: undefined }));
      resealed += 1;
    }
    return storedRecords;
  };
  const records = await needFactorStore(context, config, reseal, {
    undone: () =>
      resealed === 0
        ? 'nothing was done'
        : `only ${resealed} of the records are sealed with the first key`,
  });
  const unreadable = records.unreadable.length;
  if (options.output === 'json')
    printJson(context, { resealed, records: records.readable.length, unreadable });
  else {
    const subject = resealed === 1 ? '1 record' : `${resealed} records`;
    context.stdout.write(
      `sealed ${subject} of second factors with the first key of cache.redis.sealingKeys; ${records.readable.length} ${records.readable.length === 1 ? 'record has' : 'records have'} that key now.\n` +
        'Before you remove an older key, make sure that each gateway uses this config. A session that an older key sealed ends with that key.\n',
    );
  }
  remarkUnreadable(context, records.unreadable);
  return unreadable === 0 ? exitCodes.success : exitCodes.failure;
}

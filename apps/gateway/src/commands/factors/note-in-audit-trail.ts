import { publishAndConfirm } from '../../engine/revocation/confirmation.ts';
import type { Draft } from '../../engine/revocation/publish.ts';
import { withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import type { FactorConfig } from './open-factors.ts';

/** How long the entry stays in the list, in milliseconds. A replica acts on it once, when it learns of it. */
const entryLifetime = 60_000;

/** Has the audit trail of each replica note what was done. @throws RedisProblem, Error when it can't be written */
export async function noteInAuditTrail(
  context: CommandContext,
  config: FactorConfig,
  draft: Omit<Draft, 'until'>,
): Promise<void> {
  await withCacheRedis(context, config, (redis) =>
    publishAndConfirm(redis, ({ now }) => ({ ...draft, until: now + entryLifetime }), {
      // No user is let in or refused by the entry: nothing waits for the replicas to have it.
      wait: 0,
      signal: AbortSignal.abort(),
    }),
  );
}

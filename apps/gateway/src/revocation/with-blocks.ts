import type { Authenticator, Logger, Rejected } from '@sallyport/authenticator';
import { layer } from '../chain/layer.ts';
import type { Blocks, Entry } from './types.ts';

/**
 * Refuses who is blocked, whatever the backend says. It stands outermost, since blocks are told in the names that
 * Kubernetes sees; a blocked token is not even asked about.
 *
 * @param name of the authenticator, for the log
 */
export function withBlocks(
  inner: Authenticator,
  name: string,
  blocks: Blocks,
  log: Pick<Logger, 'info'>,
): Authenticator {
  const refuse = ({ kind, by, reason }: Entry, subject?: string): Rejected => {
    log.info({ authenticator: name, subject, blocked: kind, by, reason }, 'blocked');
    return { kind: 'rejected', reason: 'blocked', ...(subject !== undefined && { subject }) };
  };
  return layer(inner, async (token, context) => {
    const blocked = blocks.ofToken(token);
    if (blocked) return refuse(blocked);
    const decision = await inner.authenticate(token, context);
    if (decision.kind !== 'authenticated') return decision;
    const { username, groups = [] } = decision.user;
    const block = blocks.ofUser(username, groups) ?? blocks.ofToken(token);
    return block ? refuse(block, username) : decision;
  });
}

import type { Authenticator, Logger, Rejected } from '@sallyport/authenticator';
import { layer } from '../chain/layer.ts';
import type { Blocks, Entry } from './types.ts';

/**
 * Refuses blocked users and tokens, whatever the backend answers. It is the outermost layer, since blocks name users and
 * groups as Kubernetes sees them; a blocked token is not even looked up.
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

import type { Authenticator, Logger, Rejected } from '@sallyport/authenticator';
import { judgingLayer, layer } from '../chain/layer.ts';
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
  const judged = judgingLayer(inner, (decision, token) => {
    if (decision.kind !== 'authenticated') return decision;
    const { username, groups = [] } = decision.user;
    const block = blocks.ofUser(username, groups) ?? blocks.ofToken(token);
    return block ? refuse(block, username) : decision;
  });
  return layer(inner, (token, context) => {
    const blocked = blocks.ofToken(token);
    return blocked ? refuse(blocked) : judged.authenticate(token, context);
  });
}

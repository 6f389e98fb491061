import {
  type Authenticator,
  AuthenticatorError,
  type Logger,
  type Rejected,
} from '@sallyport/authenticator';
import { createDecidingLayer, layer } from '../chain/layer.ts';
import type { Blocks, Entry } from './list.ts';

/**
 * Refuses blocked users and tokens, whatever the backend answers. It is the outermost layer, since blocks name users and
 * groups as Kubernetes sees them. A blocked token is not looked up. A token that is blocked by an id in it is looked up, or its
 * answer is cached: only the plugin can read the id. While it is not known who is blocked, a user who would be let in could not
 * be checked.
 */
export function withBlocks(
  inner: Authenticator,
  name: string,
  blocks: Blocks,
  log: Pick<Logger, 'info'>,
) {
  const refuse = (block: Entry, subject?: string): Rejected => {
    const { kind: blocked, reason } = block;
    log.info({ authenticator: name, subject, blocked, by: block.by, reason }, 'blocked');
    return { kind: 'rejected', reason: 'blocked', ...(subject !== undefined && { subject }) };
  };
  const decided = createDecidingLayer(inner, (decision, token) => {
    if (decision.kind !== 'authenticated') return decision;
    requireKnown(blocks);
    const { user, credential } = decision;
    const { username, groups = [] } = user;
    const block =
      blocks.findByUser(username, groups) ??
      (credential && blocks.findByCredential(credential)) ??
      // The token is checked again: it may have been blocked during the wait for its answer.
      blocks.findByToken(token);
    return block ? refuse(block, username) : decision;
  });
  return layer(inner, (token, context) => {
    const blocked = blocks.findByToken(token);
    return blocked ? refuse(blocked) : decided.authenticate(token, context);
  });
}

/** Checks that blocks are known, before a user is let in. @throws AuthenticatorError while it is not known who is blocked */
export function requireKnown({ isUnknown }: Pick<Blocks, 'isUnknown'>): void {
  if (!isUnknown) return;
  const problem =
    'the revocation list was not read since the start or a long pause, so it is not known who is blocked';
  throw new AuthenticatorError(
    'unavailable',
    `${problem}. Fix the cache Redis, or if it is new, run "sallyport revoke --all" (docs/redis.md)`,
  );
}

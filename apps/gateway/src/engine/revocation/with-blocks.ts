import {
  type Authenticator,
  AuthenticatorError,
  type Credential,
  type Logger,
  type Rejected,
  type UserInfo,
} from '@sallyport/authenticator';
import { createDecidingLayer, layer } from '../chain/layer.ts';
import type { Blocks, Entry, LoginBlocks } from './list.ts';

/**
 * Finds the block of a user who would be let in: of their name, of a group, or of an id in their token. Whether someone is blocked is
 * decided here alone, for reviews and for logins.
 *
 * @param user as Kubernetes sees them
 */
function findUserBlock(
  blocks: Pick<Blocks, 'findByUser' | 'findByCredential'>,
  { username, groups = [] }: Pick<UserInfo, 'username' | 'groups'>,
  credential: Credential | undefined,
): Entry | undefined {
  return blocks.findByUser(username, groups) ?? (credential && blocks.findByCredential(credential));
}

/** The user of a login, and what they have proved it with. */
export interface BlockableLogin {
  /** As Kubernetes sees them. */
  readonly user: Pick<UserInfo, 'username' | 'groups'>;
  /** Ids of the ID token. */
  readonly credential?: Credential | undefined;
  /** The digest of the ID token. Undefined: they gave a password. */
  readonly tokenDigest?: string | undefined;
}

/** Finds the block of a login, some time after {@link withBlocks} has let it pass. */
export function findLoginBlock(
  blocks: Pick<LoginBlocks, 'findByUser' | 'findByCredential' | 'findByTokenDigest'>,
  { user, credential, tokenDigest }: BlockableLogin,
): Entry | undefined {
  return findUserBlock(blocks, user, credential) ?? blocks.findByTokenDigest(tokenDigest);
}

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
    // The token is checked again: it may have been blocked during the wait for its answer.
    const block = findUserBlock(blocks, user, credential) ?? blocks.findByToken(token);
    return block ? refuse(block, user.username) : decision;
  });
  return layer(inner, (token, context) => {
    const blocked = blocks.findByToken(token);
    return blocked ? refuse(blocked) : decided.authenticate(token, context);
  });
}

/** Checks that blocks are known, before a user is let in. @throws AuthenticatorError while it is not known who is blocked */
function requireKnown({ isUnknown }: Pick<Blocks, 'isUnknown'>): void {
  if (!isUnknown) return;
  const problem =
    'the revocation list was not read since the start or a long pause, so it is not known who is blocked';
  throw new AuthenticatorError(
    'unavailable',
    `${problem}. Fix the cache Redis, or if it is new, run "sallyport revoke --all" (docs/redis.md)`,
  );
}

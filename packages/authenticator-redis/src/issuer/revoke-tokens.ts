import type { Revocation, RevokedToken, TokenSelection, UnreadableToken } from '@sallyport/authenticator';
import { type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import { changeJson, jsonLayout, writeHash, writeJson } from '../layouts.ts';
import type { TokenRecord } from '../record.ts';
import { readRecord, type Store } from '../store.ts';
import { digestToken } from '../token.ts';
import { issuedToken, revocationOf, revokedFields } from './issued-token.ts';
import { listTokens } from './list-tokens.ts';

/** How often a record is read again because another client changed it. */
const mostTries = 5;

/**
 * Replaces the string that was read, unless it has changed, and keeps its end. It reads one byte more than that string
 * has, to notice a longer one.
 */
const replaceString = `
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1`;

/** Adds fields to a hash, unless it is gone or revoked by then. */
const revokeHash = `
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'revokedAt') == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1`;

/** Also yields tokens that were revoked before, so that the caller knows about each one. */
export async function* revokeTokens(
  selection: TokenSelection,
  revocation: Revocation,
  store: Store,
  signal: AbortSignal,
): AsyncGenerator<RevokedToken | UnreadableToken> {
  requireReadable(revocation);
  if (!('username' in selection)) {
    const digest = 'digest' in selection ? selection.digest : digestToken(selection.token);
    const revoked = await revokeOne(digest, revocation, store, signal);
    if (revoked !== undefined) yield revoked;
    return;
  }
  for await (const found of listTokens({ username: selection.username }, store, false, signal)) {
    const revoked = 'fault' in found ? found : await revokeOne(found.digest, revocation, store, signal);
    if (revoked !== undefined) yield revoked;
  }
}

/** A revocation that makes the record invalid would leave the token without a clear answer. */
function requireReadable(revocation: Revocation): void {
  const read = jsonLayout.read(writeJson({ username: 'any', ...revokedFields(revocation) })) ?? {};
  if ('problem' in read) throw new Error(`tokens cannot be revoked with this text: ${read.problem}`);
}

/** @returns undefined when the record does not exist */
async function revokeOne(
  digest: string,
  revocation: Revocation,
  store: Store,
  signal: AbortSignal,
): Promise<RevokedToken | UnreadableToken | undefined> {
  const changes = revokedFields(revocation);
  for (let attempt = 1; attempt <= mostTries; attempt += 1) {
    const found = await readRecord(digest, store, signal);
    if (found === undefined) return undefined;
    if ('problem' in found) return { digest, fault: found.problem };
    const already = revocationOf(found.record);
    if (already || (await replace(store.keys.record(digest), found.reply, changes, store, signal))) {
      const record = already ? found.record : { ...found.record, ...changes };
      const token = issuedToken({ ...found, record, digest });
      return { token: { ...token, revoked: already ?? revocation }, already: already !== undefined };
    }
  }
  throw new Error(
    `the record of ${digest} kept changing while we tried to revoke it; it is not revoked. Run the command again`,
  );
}

/** @returns false when the record has changed or is gone: the next read shows what is there */
async function replace(
  key: string,
  reply: unknown,
  changes: Partial<TokenRecord>,
  { connection, layout }: Store,
  signal: AbortSignal,
): Promise<boolean> {
  const command = (client: RedisClient) =>
    layout === jsonLayout
      ? client.eval(replaceString, 1, key, String(reply), changeJson(String(reply), changes))
      : client.eval(revokeHash, 1, key, ...writeHash(changes));
  try {
    return (await connection.run(command, signal)) === 1;
  } catch (error) {
    if (error instanceof RedisProblem && error.kind === 'type') return false;
    throw error;
  }
}

import type {
  IssuedToken,
  Revocation,
  RevokedToken,
  TokenSelection,
  UnreadableToken,
} from '@sallyport/authenticator';
import { type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import { changeJson, jsonLayout, writeHash, writeJson } from '../layouts.ts';
import type { TokenRecord } from '../record.ts';
import { readRecord, type Store } from '../store.ts';
import { digestToken } from '../token.ts';
import { issuedToken, readRevocation, revokedFields } from './issued-token.ts';
import { listTokens } from './list-tokens.ts';

/** How often a record is read while other clients change it. */
const maxAttempts = 5;

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

/** Revokes tokens. It also yields tokens that were revoked before, so that the caller knows about each one. */
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
  for await (const listed of listTokens({ username: selection.username }, store, false, signal)) {
    const revoked =
      'problem' in listed ? listed : await revokeOne(listed.digest, revocation, store, signal);
    if (revoked !== undefined) yield revoked;
  }
}

/** Refuses a revocation that makes the record invalid: that would leave the token without a clear answer. */
function requireReadable(revocation: Revocation): void {
  const readBack =
    jsonLayout.read(writeJson({ username: 'any', ...revokedFields(revocation) })) ?? {};
  if ('problem' in readBack)
    throw new Error(`tokens can't be revoked with this text: ${readBack.problem}`);
}

/** Revokes one token. @returns undefined when the record does not exist */
async function revokeOne(
  digest: string,
  revocation: Revocation,
  store: Store,
  signal: AbortSignal,
): Promise<RevokedToken | UnreadableToken | undefined> {
  const changes = revokedFields(revocation);
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const stored = await readRecord(digest, store, signal);
    if (stored === undefined) return undefined;
    if ('problem' in stored) return { digest, problem: stored.problem };
    const already = readRevocation(stored.record);
    if (
      already ||
      (await replace(store.keys.record(digest), stored.reply, changes, store, signal))
    ) {
      const record = already ? stored.record : { ...stored.record, ...changes };
      const token = {
        ...issuedToken({ ...stored, record, digest }),
        revoked: already ?? revocation,
      };
      if (already) return { token, already: true };
      const isReplicated = await store.connection.isReplicated(store.keys.record(digest));
      return { token, already: false, ...(isReplicated === false && { unconfirmed: true }) };
    }
  }
  throw new Error(
    `the record of ${digest} kept changing while we tried to revoke it; it is not revoked. Run the command again`,
  );
}

const failsWith = (error: unknown, reply: RegExp) =>
  error instanceof Error && reply.test(error.message);

/**
 * Runs a script that revokes, even in a Redis whose memory is full. Redis 7 and Valkey let a script say that it may write
 * then (https://redis.io/docs/latest/develop/programmability/lua-api/#script-flags). An older one can't compile it: there the
 * record is deleted, and with it who revoked the token.
 */
async function revokeByScript(
  client: RedisClient,
  script: string,
  key: string,
  args: readonly string[],
): Promise<unknown> {
  try {
    return await client.eval(script, 1, key, ...args);
  } catch (error) {
    if (!failsWith(error, /^OOM |: -OOM /)) throw error;
  }
  try {
    return await client.eval(`#!lua flags=allow-oom${script}`, 1, key, ...args);
  } catch (error) {
    if (!failsWith(error, /^ERR Error compiling script/)) throw error;
    return deleteKey(client, key);
  }
}

/** Deletes a key, even in a full Redis. A time to live of 0 does that, with a right that sessions need anyway. */
function deleteKey(client: RedisClient, key: string): Promise<number> {
  return client.pexpire(key, 0);
}

/** Deletes a token. The record goes first: a session that is not in the index could not be found. */
export async function deleteToken(
  { digest, user }: Pick<IssuedToken, 'digest' | 'user'>,
  { connection, keys }: Store,
  signal: AbortSignal,
): Promise<void> {
  await connection.run(async (client) => {
    await deleteKey(client, keys.record(digest));
    await client.zrem(keys.userSessions(user.username), digest);
  }, signal);
}

/** Writes a revocation. @returns false when the record has changed or is gone: the next read shows what is there */
async function replace(
  key: string,
  reply: unknown,
  changes: Partial<TokenRecord>,
  { connection, layout }: Store,
  signal: AbortSignal,
): Promise<boolean> {
  const command = (client: RedisClient) =>
    layout === jsonLayout
      ? revokeByScript(client, replaceString, key, [
          String(reply),
          changeJson(String(reply), changes),
        ])
      : revokeByScript(client, revokeHash, key, writeHash(changes));
  try {
    return (await connection.run(command, signal)) === 1;
  } catch (error) {
    if (error instanceof RedisProblem && error.kind === 'type') return false;
    throw error;
  }
}

import type { IssuedToken, TokenRequest } from '@sallyport/authenticator';
import { type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import { jsonLayout, writeHash, writeJson } from '../layouts.ts';
import type { TokenRecord } from '../record.ts';
import type { Store } from '../store.ts';
import {
  defaultPrefix,
  digestToken,
  makeToken,
  type TokenShapeOptions,
  tokenShape,
} from '../token.ts';
import { issuedToken, makeRecord } from './issued-token.ts';
import { noteSession } from './list-tokens.ts';

/** Milliseconds for which Redis keeps a record after its end, so that the token is expired and not unknown. */
const gracePeriod = 86_400_000;

/**
 * Creates a hash with its time to live, unless the key exists. ARGV: milliseconds or '', then fields and values. The first
 * PEXPIRE changes nothing: without the right to use it, the script ends there and leaves nothing behind.
 */
const createHash = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1`;

/** @throws Error when the authenticator would not accept the token, or the record would be invalid */
export async function createToken(
  request: TokenRequest,
  store: Store,
  tokenOptions: TokenShapeOptions,
  signal: AbortSignal,
): Promise<{ token: string; issued: IssuedToken }> {
  const now = store.now();
  const token = newToken(tokenOptions);
  const digest = digestToken(token);
  const record = makeRecord(request, digest, now);
  // A record that this authenticator would refuse at each use must not be written.
  const readBack = jsonLayout.read(writeJson(record)) ?? {};
  if ('problem' in readBack) throw new Error(`this token can't be created: ${readBack.problem}`);
  if (record.expiresAt !== undefined && record.expiresAt <= now) {
    throw new Error("this token can't be created: expiresAt is in the past");
  }
  const key = store.keys.record(digest);
  const lifetime =
    record.idle ??
    (record.expiresAt === undefined ? undefined : record.expiresAt - now + gracePeriod);
  // The index comes first: a session that is not in it could not be found.
  if (record.session !== undefined) await noteSession(record, digest, store, signal);
  const isNew = await store.connection
    .run((client) => write(client, key, record, lifetime, store), signal)
    .catch(throwWithAdvice);
  if (!isNew)
    throw new Error('Redis already has a record with the digest of this new token: try again');
  const keyExpiresAt = record.idle === undefined ? undefined : now + record.idle;
  return { token, issued: issuedToken({ record, digest, keyExpiresAt }) };
}

/** Adds advice to an error without an answer, after which Redis may or may not have stored the record. */
function throwWithAdvice(error: unknown): never {
  if (!(error instanceof RedisProblem) || !['timeout', 'connection'].includes(error.kind))
    throw error;
  const advice =
    'the record may be stored all the same: then no one has its token, and `token list` shows it';
  throw new RedisProblem(error.kind, `${error.message}; ${advice}`);
}

function newToken(options: TokenShapeOptions): string {
  const prefix = options.prefix ?? defaultPrefix;
  const token = makeToken(prefix);
  if (tokenShape(options).matches(token)) return token;
  throw new Error(
    'tokens of this authenticator are issued elsewhere: its tokenPattern does not match the tokens of this command, ' +
      `${prefix} and 49 characters of A-Z, a-z, 0-9, - and _`,
  );
}

/** Writes a record. @returns whether it was written */
async function write(
  client: RedisClient,
  key: string,
  record: TokenRecord,
  lifetime: number | undefined,
  { layout }: Store,
): Promise<boolean> {
  if (layout !== jsonLayout) {
    return (await client.eval(createHash, 1, key, lifetime ?? '', ...writeHash(record))) === 1;
  }
  const text = writeJson(record);
  const reply =
    lifetime === undefined
      ? client.set(key, text, 'NX')
      : client.set(key, text, 'PX', lifetime, 'NX');
  return (await reply) === 'OK';
}

import type { IssuedToken, TokenRequest } from '@sallyport/authenticator';
import { type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import { writeHash } from '../record/hash-layout.ts';
import { jsonLayout, writeJson } from '../record/json-layout.ts';
import type { TokenRecord } from '../record/types.ts';
import { digestToken } from '../token/digest.ts';
import { defaultPrefix, makeToken } from '../token/format.ts';
import { tokenShape } from '../token/shape.ts';
import { issuedToken, recordOf } from './issued-token.ts';
import { createHash } from './scripts.ts';
import type { Store } from './store.ts';

/** Milliseconds for which Redis keeps a record behind its end: so long it is told as expired, and not as unknown. */
const grace = 86_400_000;

/** @throws Error when tokens made here would not be taken, or what is asked for makes no good record */
export async function createToken(
  request: TokenRequest,
  store: Store,
  signal: AbortSignal,
): Promise<{ token: string; issued: IssuedToken }> {
  const now = store.now();
  const record = recordOf(request, now);
  // What this authenticator would refuse at each use is not written.
  const read = jsonLayout.read(writeJson(record)) ?? {};
  if ('fault' in read) throw new Error(`no such token can be made: ${read.fault}`);
  if (record.expiresAt !== undefined && record.expiresAt <= now) {
    throw new Error('no such token can be made: expiresAt is past');
  }
  const token = newToken(store);
  const digest = digestToken(token);
  const key = store.keys.record(digest);
  const lifetime = record.expiresAt === undefined ? undefined : record.expiresAt - now + grace;
  const isNew = await store.connection
    .run((client) => write(client, key, record, lifetime, store), signal)
    .catch(throwWithDoubt);
  if (!isNew) throw new Error('Redis holds a record under the digest of this new token: try again');
  return { token, issued: issuedToken(record, { digest }) };
}

/** What was sent may have been done, whatever became of the answer. */
function throwWithDoubt(error: unknown): never {
  if (!(error instanceof RedisProblem) || !['timeout', 'connection'].includes(error.kind)) throw error;
  const doubt = 'should the record be stored all the same, then nobody has its token, and the list of tokens shows it';
  throw new RedisProblem(error.kind, `${error.message}; ${doubt}`);
}

function newToken({ token }: Store): string {
  const made = makeToken(token.prefix ?? defaultPrefix);
  if (tokenShape(token).matches(made)) return made;
  throw new Error(
    'tokens of this authenticator are issued elsewhere: its tokenPattern does not match those that are made here, ' +
      `${token.prefix ?? defaultPrefix} and 49 characters of A-Z, a-z, 0-9, - and _`,
  );
}

/** @returns whether it was written */
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
  const done = lifetime === undefined ? client.set(key, text, 'NX') : client.set(key, text, 'PX', lifetime, 'NX');
  return (await done) === 'OK';
}

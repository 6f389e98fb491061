import type { Revocation, RevokedToken, TokenSelection, UnreadableToken } from '@sallyport/authenticator';
import { RedisProblem, readValue } from '@sallyport/redis-connection';
import { endOfKey } from '../end-of-key.ts';
import { writeHash } from '../record/hash-layout.ts';
import { changeJson, jsonLayout, writeJson } from '../record/json-layout.ts';
import type { TokenRecord } from '../record/types.ts';
import { digestToken } from '../token/digest.ts';
import { issuedToken, revocationOf, revokedFields } from './issued-token.ts';
import { listTokens } from './list-tokens.ts';
import { replaceString, revokeHash } from './scripts.ts';
import type { Store } from './store.ts';

/** Somebody else changes the record at the same moment: then it is read anew, so often. */
const mostTries = 5;

/** Those that are revoked already are given out, too: nobody needs to guess what became of them. */
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
  for await (const found of listTokens({ username: selection.username }, store, signal)) {
    const revoked = 'fault' in found ? found : await revokeOne(found.digest, revocation, store, signal);
    if (revoked !== undefined) yield revoked;
  }
}

/** What makes a record bad would keep the token from being refused as revoked. */
function requireReadable(revocation: Revocation): void {
  const read = jsonLayout.read(writeJson({ username: 'anybody', ...revokedFields(revocation) })) ?? {};
  if ('fault' in read) throw new Error(`no token can be revoked so: ${read.fault}`);
}

/** @returns undefined when it is not there */
async function revokeOne(
  digest: string,
  revocation: Revocation,
  store: Store,
  signal: AbortSignal,
): Promise<RevokedToken | UnreadableToken | undefined> {
  try {
    return await revokeRecord(digest, revocation, store, signal);
  } catch (error) {
    if (!(error instanceof RedisProblem) || error.kind !== 'type') throw error;
    return { digest, fault: `is no ${store.layout.type}, as layout says` };
  }
}

async function revokeRecord(
  digest: string,
  revocation: Revocation,
  store: Store,
  signal: AbortSignal,
): Promise<RevokedToken | UnreadableToken | undefined> {
  const { connection, keys, layout, now } = store;
  const key = keys.record(digest);
  for (let attempt = 1; attempt <= mostTries; attempt += 1) {
    const asked = now();
    const { reply, timeToLive } = await connection.run((client) => readValue(client, layout.query, key), signal);
    const read = layout.read(reply);
    if (read === undefined) return undefined;
    if ('fault' in read) return { digest, fault: read.fault };
    const already = revocationOf(read.record) !== undefined;
    const changes = revokedFields(revocation);
    if (already || (await replace(key, reply, changes, store, signal))) {
      const record: TokenRecord = already ? read.record : { ...read.record, ...changes };
      const token = issuedToken(record, { digest, keyExpiresAt: endOfKey(timeToLive, asked) });
      return { token: { ...token, revoked: revocationOf(record) ?? revocation }, already };
    }
  }
  throw new Error(`the record of ${digest} is changed by somebody else all the time: it is not revoked, try again`);
}

/** @returns false when the record is another one by now, or gone */
async function replace(
  key: string,
  reply: unknown,
  changes: Partial<TokenRecord>,
  { connection, layout }: Store,
  signal: AbortSignal,
): Promise<boolean> {
  const done = await connection.run(
    (client) =>
      layout === jsonLayout
        ? client.eval(replaceString, 1, key, String(reply), changeJson(String(reply), changes))
        : client.eval(revokeHash, 1, key, ...writeHash(changes)),
    signal,
  );
  return done === 1;
}

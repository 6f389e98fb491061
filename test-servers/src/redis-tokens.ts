import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { RedisServer } from './redis.ts';
import { randomToken, secret, sha256 } from './tokens.ts';

/** Finds the server that has a key: always the same one, the master, or the one with its slot. */
export type ServerOf = (key: string) => RedisServer | Promise<RedisServer>;

/** Makes a token as `token create` does, by the README: `sp_`, 32 random bytes and the CRC-32 of both. */
export function newToken(): string {
  const body = `sp_${randomBytes(32).toString('base64url')}`;
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return secret(body + checksum.toString('base64url'));
}

/** Changes one letter of a token, so that its checksum is wrong. */
export function mistyped(token: string): string {
  const letter = token.at(9) === 'a' ? 'b' : 'a';
  return secret(token.slice(0, 9) + letter + token.slice(10));
}

/** Makes a token as a pod would send it: three base64url parts with dots between them. */
export function serviceAccountToken(): string {
  const part = (content: object): string =>
    Buffer.from(JSON.stringify(content)).toString('base64url');
  const claims = {
    iss: 'https://kubernetes.default.svc',
    sub: 'system:serviceaccount:ci:builder',
    jti: randomToken(),
  };
  return secret(
    `${part({ alg: 'RS256', kid: randomToken() })}.${part(claims)}.${randomToken(256)}`,
  );
}

export function recordKey(token: string): string {
  return `sallyport:token:${sha256(token)}`;
}

/** Writes the record of a new token, as another system would. */
export async function issue(serverOf: ServerOf, record: object): Promise<string> {
  const token = newToken();
  await writeRecord(serverOf, token, JSON.stringify(record));
  return token;
}

export async function writeRecord(serverOf: ServerOf, token: string, text: string): Promise<void> {
  const key = recordKey(token);
  await (await serverOf(key)).client().set(key, text);
}

/** Writes the record of a new token as a hash. */
export async function issueHash(
  serverOf: ServerOf,
  fields: Readonly<Record<string, string>>,
): Promise<string> {
  const token = newToken();
  const key = recordKey(token);
  await (await serverOf(key)).client().hset(key, fields);
  return token;
}

/** Waits until a replica has everything that was written to its master so far, so that it is not lost with the master. */
export async function untilReplicated(master: RedisServer): Promise<void> {
  const replicas = await master.client().call('WAIT', 1, 20_000);
  if (Number(replicas) < 1) throw new Error('no replica has what was written');
}

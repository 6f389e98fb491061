import { createHash, randomBytes } from 'node:crypto';
import type { RedisServer } from '@sallyport/test-servers/redis';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { appCode } from './authenticator-app.ts';
import { sealAs } from './seal.ts';

/** A user of the authenticator `corp` whose directory gives no uid. */
interface Named {
  readonly name: string;
}

/** An enrolled user: their app and their recovery codes. */
export interface EnrolledUser {
  /** The code that the app shows. @param seconds how far its clock is ahead */
  code(seconds?: number): Promise<string>;
  readonly recoveryCodes: readonly string[];
}

const sha256 = (text: string) => createHash('sha256').update(text);

/** The key of a user's record in Redis. */
export function factorKey({ name }: Named): string {
  return `sallyport:factor:${factorDigest({ name })}`;
}

const factorDigest = ({ name }: Named) =>
  sha256(JSON.stringify(['corp', 'name', name])).digest('hex');

/** RFC 4648, section 6, without padding. */
function base32(bytes: Uint8Array): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  let text = '';
  let bits = '';
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0');
  for (let at = 0; at < bits.length; at += 5)
    text += alphabet[Number.parseInt(bits.slice(at, at + 5).padEnd(5, '0'), 2)];
  return text;
}

/** An app whose first step is not used yet, and ten recovery codes. */
function newFactors() {
  const bytes = randomBytes(20);
  const text = secret(base32(bytes));
  const recoveryCodes = Array.from({ length: 10 }, () => secret(randomToken(8).toLowerCase()));
  const app = {
    id: 'app',
    name: 'phone',
    addedAt: Date.now(),
    secret: secret(bytes.toString('base64url')),
    lastStep: 0,
  };
  // A gateway compares a code without dashes.
  const recovery = recoveryCodes.map((code) =>
    sha256(code.replaceAll('-', '')).digest('base64url'),
  );
  const user: EnrolledUser = { code: (seconds = 0) => appCode(text, seconds), recoveryCodes };
  return { parts: { totp: [app], recovery }, user };
}

/** Writes a record as a gateway does. @param key the sealing key in base64 */
async function write(redis: RedisServer, named: Named, key: string, parts: object): Promise<void> {
  const { name } = named;
  const record = {
    id: randomToken(),
    user: { authenticator: 'corp', username: name, name: `corp:${name}` },
    totp: [],
    passkeys: [],
    recovery: [],
    version: 0,
    wrongCodes: 0,
    wrongSince: 0,
    ...parts,
  };
  const at = { purpose: 'second factors', name: factorDigest(named) };
  const sealed = sealAs(key, at, JSON.stringify(record));
  await redis.client().set(factorKey(named), sealed.toString('base64'));
}

/** Gives a user an app and recovery codes, which takes no invitation and none of the app's codes. @param key as for `write` */
export async function writeFactor(
  redis: RedisServer,
  key: string,
  named: Named,
): Promise<EnrolledUser> {
  const { parts, user } = newFactors();
  await write(redis, named, key, parts);
  return user;
}

/** Gives a user a second app as well, which can be removed: its id is `old`. @param key as for `write` */
export async function writeTwoApps(
  redis: RedisServer,
  key: string,
  named: Named,
): Promise<EnrolledUser> {
  const [{ parts, user }, old] = [newFactors(), newFactors()];
  const totp = [...parts.totp, ...old.parts.totp.map((app) => ({ ...app, id: 'old' }))];
  await write(redis, named, key, { ...parts, totp });
  return user;
}

/** Invites a user who has no factor. @param key as for `write` @returns what they type */
export async function writeInvitation(
  redis: RedisServer,
  key: string,
  named: Named,
): Promise<string> {
  const code = secret(randomToken(12).toLowerCase().replaceAll('-', '_'));
  const digest = sha256(code).digest('base64url');
  const [at, until] = [Date.now(), Date.now() + 3_600_000];
  await write(redis, named, key, { invitation: { digest, at, until, by: 'root' } });
  return code;
}

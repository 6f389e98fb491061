import { entryRequest } from '../connection/entry-request.ts';
import { ServerError } from '../connection/server-error.ts';
import type { LdapEntry } from '../connection/types.ts';
import { isServerOutage, namedCode } from '../directory/result-codes.ts';
import type { DirectoryCall, LdapDirectory, SearchConnection } from '../directory/types.ts';
import type { UserOptions } from '../options/types.ts';
import { lockAttribute } from './account-state.ts';
import { onlyText, readTexts } from './entry-values.ts';

/** The attribute that names the password policy of an entry of OpenLDAP. An entry of the default policy has none. */
export const policyAttribute = 'pwdPolicySubentry';

const durationAttribute = 'pwdLockoutDuration';

/**
 * Reads how long a user of OpenLDAP who is locked stays locked. No bind removes the lock of a user who has a session or a token
 * of another authenticator.
 *
 * @returns milliseconds, undefined if the user has no lock, if no policy can be read, or if only an administrator ends it
 * @throws as `Directory.withService`
 */
export async function readLockoutDuration(
  directory: LdapDirectory,
  { passwordPolicy }: Pick<UserOptions, 'passwordPolicy'>,
  entry: LdapEntry,
  call: DirectoryCall,
): Promise<number | undefined> {
  if (readTexts(entry, lockAttribute).length === 0) return undefined;
  const policy = onlyText(entry, policyAttribute) ?? passwordPolicy;
  if (policy === undefined) return undefined;
  const look = (connection: SearchConnection) => readPolicy(connection, policy, call.signal);
  const { value } = await directory.withService(look, call);
  const seconds = Number((value && onlyText(value, durationAttribute)) ?? 0);
  return seconds > 0 ? seconds * 1_000 : undefined;
}

async function readPolicy(
  { search }: SearchConnection,
  policy: string,
  signal: AbortSignal,
): Promise<LdapEntry | undefined> {
  const { code, entries } = await search(entryRequest(policy, [durationAttribute]), signal);
  if (!isServerOutage(code)) return entries[0];
  const message = `the lookup of the password policy "${policy}" ended in ${namedCode(code)}`;
  throw new ServerError('answer', 'search', message);
}

import type { FactorRecord, FactorUser } from '../../login/factors/factor-record.ts';
import {
  digestIdentity,
  type FactorStore,
  ForeignRecordError,
  type Identity,
} from '../../login/factors/factor-store.ts';
import type { CommandContext } from '../context.ts';
import { canHaveName } from '../users/user-names.ts';
import type { FactorConfig } from './open-factors.ts';
import { findPeople, type PeopleSearch } from './people.ts';

/** A record of a user. Without `record`, no gateway with these sealing keys wrote it for them. */
export interface UserRecord {
  readonly identity: Identity;
  readonly record: FactorRecord | undefined;
}

/** The records of the user of a name. */
export interface UserRecords {
  readonly records: readonly UserRecord[];
  /** Records of other accounts, which had the name when they were written. */
  readonly recordsOfOthers: readonly FactorRecord[];
  /** How many records of the store can't be read. They may be of any user. */
  readonly unreadable: number;
  readonly search: PeopleSearch;
}

/**
 * Finds the records of a user: by the name that each record has, which works while a directory is down; and by what directories
 * say of the user, so that it finds the record of a renamed user, and one that can't be read.
 *
 * @param name as Kubernetes sees it
 * @throws RedisProblem when the store can't be read
 */
export async function findUserRecords(
  context: CommandContext,
  config: FactorConfig,
  store: FactorStore,
  name: string,
): Promise<UserRecords> {
  const search = await findPeople(context, config, name);
  const recordsOfName: FactorRecord[] = [];
  let unreadable = 0;
  for await (const { record } of store.list()) {
    if (record === undefined) unreadable += 1;
    else if (record.user.name === name) recordsOfName.push(record);
  }
  const recordsOfOthers = recordsOfName.filter(({ user }) => isOther(user, search));
  const identities: readonly Identity[] = [
    ...search.people.map(({ user }) => user),
    ...recordsOfName.filter((record) => !recordsOfOthers.includes(record)).map(({ user }) => user),
    ...makeIdentities(config, name),
  ];
  const unique = new Map(identities.map((identity) => [digestIdentity(identity), identity]));
  const readRecords = await Promise.all(
    [...unique.values()].map((identity) => readRecord(store, identity)),
  );
  return { records: readRecords.flat(), recordsOfOthers, unreadable, search };
}

async function readRecord(store: FactorStore, identity: Identity): Promise<readonly UserRecord[]> {
  try {
    const record = await store.readOwn(identity);
    return record === undefined ? [] : [{ identity, record }];
  } catch (error) {
    if (error instanceof ForeignRecordError) return [{ identity, record: undefined }];
    throw error;
  }
}

/** Whether a directory has the name, for an account with another uid. */
function isOther({ authenticator, uid }: FactorUser, { people }: PeopleSearch): boolean {
  const today = people.filter(
    ({ user }) => user.authenticator === authenticator && user.uid !== undefined,
  );
  return uid !== undefined && today.length > 0 && today.every(({ user }) => user.uid !== uid);
}

/** The identities that users of this name have where the directory gives no uid, or gave none earlier. */
function makeIdentities(
  { login, authenticators }: FactorConfig,
  name: string,
): readonly Identity[] {
  return authenticators
    .filter(
      (authenticator) =>
        login.authenticators.includes(authenticator.name) && canHaveName(authenticator, name),
    )
    .map((authenticator) => ({
      authenticator: authenticator.name,
      username: name.slice(authenticator.username.prefix.length),
    }));
}

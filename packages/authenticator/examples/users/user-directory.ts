import type { UserDirectory, UserInfo } from '@sallyport/authenticator';

type Account = Readonly<{
  uid: string;
  groups: readonly string[];
  disabled: boolean;
  passwordChanged: string;
}>;

export const userOf = (username: string, { uid, groups }: Account): UserInfo => ({
  username,
  uid,
  groups: [...groups],
});

/** @param find returns the present record, since the file may have changed */
export function userDirectory(find: (name: string) => Account | undefined): UserDirectory {
  return {
    async lookUp(username, { signal, trace }) {
      signal.throwIfAborted();
      const account = find(username); // A Map is exact.
      trace?.(`the file has ${account ? 'a record of' : 'no'} ${username}`);
      return account && userOf(username, account);
    },
    async revalidate({ username, uid }, { since, signal }) {
      signal.throwIfAborted();
      const account = find(username);
      if (!account || (uid !== undefined && uid !== account.uid))
        return { kind: 'rejected', reason: 'unknown-user' };
      if (account.disabled) return { kind: 'rejected', reason: 'disabled', subject: username };
      const isOld = since && new Date(account.passwordChanged) > since;
      if (isOld) return { kind: 'rejected', reason: 'password-changed', subject: username };
      return { kind: 'authenticated', user: userOf(username, account) };
    },
  };
}

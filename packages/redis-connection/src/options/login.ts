import type { Complain } from '@sallyport/plugin-options';
import type { ConnectionOptions } from '../types.ts';

export interface LoginKeys {
  readonly url?: { readonly username?: string; readonly password?: string } | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** Who logs in: of the keys or of the url, each once. @param fix what to write where the password is missing */
export function settleLogin(
  keys: LoginKeys,
  fix: string,
  complain: Complain,
): Pick<ConnectionOptions, 'username' | 'password'> {
  const inUrl = keys.url ?? {};
  for (const key of ['username', 'password'] as const) {
    if (keys[key] !== undefined && inUrl[key] !== undefined) complain([key], 'stands in the url too: keep one');
  }
  const username = keys.username ?? inUrl.username;
  const password = keys.password ?? inUrl.password;
  if (username !== undefined && password === undefined) {
    complain(['password'], `must stand beside username: ${fix}`);
  }
  return { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
}

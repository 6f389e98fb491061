import type { PasswordLogin } from '@sallyport/authenticator';
import { tokenPrefix } from './recognizing.ts';

const tokenOf = (name: string, password: string) =>
  `${tokenPrefix}${Buffer.from(`${name}:${password}`).toString('base64url')}`;

export function credentialsOf(token: string): { name: string; password: string } | undefined {
  const text = Buffer.from(token.slice(tokenPrefix.length), 'base64url').toString();
  const [, name, password] = /^([a-z]+):(.+)$/s.exec(text) ?? [];
  // Other spellings of the same bytes are not tokens.
  return name && password && tokenOf(name, password) === token ? { name, password } : undefined;
}

export const passwordLogin: PasswordLogin = {
  claimedName: (token) => credentialsOf(token)?.name,
  loginToken(name, password) {
    const token = tokenOf(name, password);
    const read = credentialsOf(token);
    return read?.name === name && read.password === password ? token : undefined;
  },
};

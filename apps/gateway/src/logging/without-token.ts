/** A backend may name a user after the token that it was asked for, and a plugin may quote it: it goes no further. */
export function withoutToken(text: string, token: string | undefined): string {
  return token && text.includes(token) ? text.replaceAll(token, '[token]') : text;
}

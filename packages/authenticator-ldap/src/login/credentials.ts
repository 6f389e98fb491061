import { isUtf8 } from 'node:buffer';

/** What a token contains. Neither part is ever empty. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** The limit for a name in bytes of UTF-8. No directory has longer names. */
const maxUsernameBytes = 1024;

/**
 * The limit for a password in bytes of UTF-8. Some servers hang up at a bind of less than 256 KiB,
 * which looks like an outage.
 */
const maxPasswordBytes = 65_536;

/**
 * Reads `tokenPrefix` + base64 of `user:password`, either alphabet (RFC 4648 sections 4 and 5),
 * with or without padding. The first colon separates name and password, and further colons belong
 * to the password. In each alphabet only one spelling of a text is valid: a token that differs when
 * it is encoded again is refused, so that there is no second valid token.
 *
 * @returns undefined for any other token, which is not for this plugin
 */
export function readCredentials(token: string, tokenPrefix: string): Credentials | undefined {
  if (!token.startsWith(tokenPrefix)) return undefined;
  const bytes = decodeBase64(token.slice(tokenPrefix.length));
  if (bytes === undefined || !isUtf8(bytes)) return undefined;
  const text = bytes.toString();
  const colon = text.indexOf(':');
  if (colon === -1) return undefined;
  const username = text.slice(0, colon);
  const password = text.slice(colon + 1);
  return isUsername(username) && isPassword(password) ? { username, password } : undefined;
}

/**
 * Says what is wrong with a token that is a name and a password without base64. The words follow "the token", and nothing of it is in
 * them.
 */
export function whyNoCredentials(token: string, tokenPrefix: string): string | undefined {
  if (!token.startsWith(tokenPrefix) || !token.slice(tokenPrefix.length).includes(':'))
    return undefined;
  return `has a colon, which is not a base64 character: encode the name and the password, as in: printf '%s:%s' "$user" "$password" | base64 -w0`;
}

/**
 * Makes the token of a name and a password.
 *
 * @returns undefined where no token can have them: the name is blank or has a colon
 */
export function writeCredentials(
  { username, password }: Credentials,
  tokenPrefix: string,
): string | undefined {
  const token = tokenPrefix + Buffer.from(`${username}:${password}`).toString('base64');
  const credentials = readCredentials(token, tokenPrefix);
  const isSame = credentials?.username === username && credentials.password === password;
  return isSame && claimedName(credentials) !== undefined ? token : undefined;
}

/**
 * Returns the name as directories compare names: without regard to case, to how letters are
 * composed, and to extra spaces.
 */
export function claimedName(credentials: Credentials | undefined): string | undefined {
  return (
    credentials?.username.normalize('NFKC').toLowerCase().trim().replace(/\s+/gu, ' ') || undefined
  );
}

function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  const padded = bytes.toString('base64');
  // base64url differs in two characters, and usually has no padding.
  const spelling = /[-_]/.test(text) ? padded.replaceAll('+', '-').replaceAll('/', '_') : padded;
  return text === spelling || text === spelling.replace(/=+$/, '') ? bytes : undefined;
}

/** Whether a text can be a name. A client writes U+FFFD for what it can't read, so two names could become one. */
export function isUsername(text: string): boolean {
  if (text === '' || !text.isWellFormed()) return false;
  return Buffer.byteLength(text) <= maxUsernameBytes && !/[\p{Cc}\uFFFD]/u.test(text);
}

/**
 * Whether a text can be a password. An empty one is no authentication (RFC 4513 section 5.1.2), and
 * some servers stop at a NUL.
 */
function isPassword(text: string): boolean {
  return text !== '' && Buffer.byteLength(text) <= maxPasswordBytes && !/[\0\uFFFD]/.test(text);
}

import { z } from 'zod';
import { isMisleading } from '../base/logging/printable.ts';
import type { LoginConfig } from '../config/types.ts';
import { LoginError } from './login-error.ts';
import { maxTyped } from './secret-text.ts';

const text = z.string().min(1);
/**
 * The name of a device or of a second factor. It is shown in lists, and is in the audit trail. U+FFFD is there for what a
 * client could not read, and records refuse it.
 */
export const shortName = text
  .max(64)
  .refine((name) => !isMisleading(name) && !name.includes('\uFFFD'));

export const credentials = {
  username: text.max(1024).refine((name) => name.isWellFormed()),
  password: text.refine((password) => password.isWellFormed()),
};

const place = { cluster: text.max(63).optional(), device: shortName.optional() };

/** A code of a second factor, as it was typed. */
const code = text.max(maxTyped).optional();

const loginBody = z.strictObject({ ...credentials, code, ...place });

export type Credentials = Pick<z.infer<typeof loginBody>, keyof typeof credentials>;

/** Reads the form of a page. @returns undefined if no user has such a name or password */
export function parseCredentials(form: URLSearchParams): Credentials | undefined {
  return z.object(credentials).safeParse(Object.fromEntries(form)).data;
}

/** Reads the body of `POST /v1/sessions`. @throws LoginError that names the field, and quotes nothing */
export function parseLoginBody(body: unknown) {
  const fieldsText =
    'username, password, code, cluster and device (at most 64 characters), each a non-empty string';
  return parseBody(loginBody, body, 'username and password', fieldsText);
}

const browserBody = z.strictObject({
  /** SHA-256 in base64url. */
  challenge: z.string().regex(/^[\w-]{43}$/),
  port: z.int().min(1).max(65_535).optional(),
  // It is kept in the URL, and in a cookie with what the provider's answer is checked against.
  username: credentials.username.max(256).optional(),
  ...place,
});

/** Reads the body of `POST /v1/logins`. @throws LoginError as {@link parseLoginBody} */
export function parseBrowserBody(body: unknown) {
  const fieldsText =
    'challenge (the SHA-256 of a secret in base64url), port, username, cluster and device (at most 64 characters)';
  return parseBody(browserBody, body, 'challenge', fieldsText);
}

const codeBody = z.strictObject({
  /** The id of the login. */
  id: z.string(),
  code: z.string(),
  /** A client that prints the URL sends it here, so that the URL is short. */
  device: place.device,
  /** RFC 7636, section 4.1. */
  verifier: z.string().regex(/^[\w.~-]{43,128}$/),
});

/** Reads the body of `POST /v1/sessions` with a code. @throws LoginError as {@link parseLoginBody} */
export function parseCodeBody(body: unknown) {
  return parseBody(
    codeBody,
    body,
    'id, code and verifier',
    'id, code, verifier and device (at most 64 characters)',
  );
}

/** Whether a body has the code of a login in a browser. With a password, `code` is a code of a second factor. */
export function isRedemption(body: unknown): boolean {
  const has = (key: string) => Object.hasOwn(Object(body), key);
  return has('code') && !has('username') && !has('password');
}

/** Reads a body. @throws LoginError that names the field, and quotes nothing */
export function parseBody<Body>(
  schema: z.ZodType<Body>,
  body: unknown,
  fieldsNeeded: string,
  fieldsText: string,
): Body {
  const { data, error } = schema.safeParse(body);
  if (data !== undefined) return data;
  const [field] = error?.issues[0]?.path ?? [];
  const problem = field
    ? `${String(field)} is wrong`
    : `the body must be an object with ${fieldsNeeded}`;
  throw new LoginError(400, 'bad-request', `${problem}: known are ${fieldsText}`);
}

/**
 * Chooses a cluster of the config.
 *
 * @returns undefined if there is none
 * @throws LoginError for an unknown one, and if there are several
 */
export function chooseCluster(
  { clusters }: LoginConfig,
  named: string | undefined,
): string | undefined {
  const names = Object.keys(clusters);
  if (named === undefined && names.length <= 1) return names[0];
  if (named !== undefined && names.includes(named)) return named;
  // Their names are no secret: GET /v1/clusters lists them.
  const choice = names.length === 0 ? 'there is none' : `write one of ${names.join(', ')}`;
  if (named === undefined)
    throw new LoginError(400, 'cluster-required', `cluster is missing: ${choice}`);
  throw new LoginError(400, 'unknown-cluster', `cluster is not known: ${choice}`);
}

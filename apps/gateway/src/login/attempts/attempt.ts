import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { open, type SealingKey, seal } from '../../engine/sealing/seal.ts';
import { isEqual, secretDigest } from '../secret-text.ts';

/** How long a person has to log in, in milliseconds. */
export const attemptLifetime = 10 * 60_000;

const text = z.string().optional();

const attemptSchema = z.strictObject({
  id: z.string(),
  /** When it ends, in milliseconds since 1970. */
  until: z.int(),
  /** SHA-256 of the client's secret in base64url (RFC 7636, section 4.2). */
  challenge: z.string(),
  /** The address that began it. */
  address: z.string(),
  /** The port on 127.0.0.1 at which the client waits for the code. Undefined: the page shows the code. */
  port: z.int().optional(),
  cluster: text,
  device: text,
  /** The name that the client proposes. */
  username: text,
  /** Set if no client has begun it, and the person wants to change their second factors. */
  manages: z.strictObject({ invitation: text }).optional(),
  /** Set in the path to which a proof sends the browser: only this path shows what comes next. It is random. */
  key: text,
});

/** A login that a client has begun and that a person continues in a browser; or a person's visit to change their second factors. */
export type LoginAttempt = Readonly<z.infer<typeof attemptSchema>>;

/** A URL has the values in this order. With their names, it would not fit into a line of a terminal. */
const attemptKeys = attemptSchema.keyof().options;

/** A login at a provider that a browser has begun. */
const flow = z.strictObject({
  provider: z.string(),
  /** The attempt as it is in the URL, since the provider's answer does not have it. */
  attempt: z.string(),
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  /**
   * The revision of the revocation list when it began: someone can keep the provider's answer, and bring it after the user was
   * revoked. An earlier version wrote none.
   */
  revision: z.int().default(0),
});

const browser = z.strictObject({
  /** It is random, and known to this browser alone. */
  secret: z.string(),
  /** Set by each proof, as the `key` of the path is. */
  login: z.string().optional(),
  flow: flow.optional(),
});

/** What a browser knows of an attempt, in a cookie that it can't read. */
export type BrowserState = Readonly<z.infer<typeof browser>>;

export type AttemptTexts = ReturnType<typeof createAttemptTexts>;

/**
 * Seals attempts into URLs and cookies, so that no attempt takes memory of the gateway or of Redis before someone has proved
 * who they are: anyone can begin as many as they like. All replicas with the same keys can read them.
 *
 * @param keys the first key seals, all open
 * @param now the wall clock in milliseconds
 */
export function createAttemptTexts(keys: readonly SealingKey[], now: () => number) {
  const write = (purpose: string, name: string, value: unknown): string => {
    const [newestKey] = keys;
    if (newestKey === undefined) throw new Error('there is no key to seal a login attempt');
    return seal(newestKey.derive(purpose), name, Buffer.from(JSON.stringify(value))).toString(
      'base64url',
    );
  };
  const openText = (purpose: string, name: string, sealed: string): unknown => {
    const bytes = Buffer.from(sealed, 'base64url');
    // Base64 is read leniently. An attempt must have one spelling only.
    if (bytes.toString('base64url') !== sealed) return undefined;
    const opened = keys.map((key) => open(key.derive(purpose), name, bytes));
    const plain = opened.find((text) => text !== undefined);
    return plain === undefined ? undefined : JSON.parse(plain.toString());
  };
  return {
    writeAttempt: (attempt: LoginAttempt): string =>
      write(
        'login attempts',
        '',
        attemptKeys.map((key) => attempt[key]),
      ),
    /** @returns undefined if no gateway with these keys wrote it, or if it has expired */
    readAttempt(sealed: string): LoginAttempt | undefined {
      const values = Object(openText('login attempts', '', sealed));
      // A list in JSON has null for undefined.
      const fields = attemptKeys.map((key, index) => [key, values[index] ?? undefined]);
      const { data } = attemptSchema.safeParse(Object.fromEntries(fields));
      return data !== undefined && data.until > now() ? data : undefined;
    },
    writeBrowser: (id: string, state: BrowserState): string => write('login cookies', id, state),
    /** @returns undefined if the cookie is not for the attempt with this id */
    readBrowser: (id: string, sealed: string): BrowserState | undefined =>
      browser.safeParse(openText('login cookies', id, sealed)).data,
  };
}

/** The length of an attempt's id: 80 bits. */
export const idLength = 16;
/** The length of the secret part of a code: 130 bits. */
export const codeSecretLength = 26;

const codePattern = new RegExp(`^[a-z2-7]{${idLength + codeSecretLength}}$`);

/** Returns the id of the attempt that a code is for. @returns undefined for what is not a code */
export function idOfCode(code: string): string | undefined {
  return codePattern.test(code) ? code.slice(0, idLength) : undefined;
}

/**
 * Joins the secret by which a login in progress knows its browser. One half is in the cookie, the other half in the path: a
 * cookie that someone planted, or that another service on this host receives, is not enough.
 */
export const joinLoginSecret = (login: string, key: string): string => `${login}.${key}`;

/** Returns the secret of {@link joinLoginSecret}. @returns undefined if no one has logged in on this path in this browser */
export function findLoginSecret(
  { key }: Pick<LoginAttempt, 'key'>,
  { login }: Pick<BrowserState, 'login'>,
): string | undefined {
  return key === undefined || login === undefined ? undefined : joinLoginSecret(login, key);
}

/** Makes the token of the forms of a browser: a page of another site can make it send a form, but does not know this. */
export function formToken(id: string, { secret }: BrowserState): string {
  return createHmac('sha256', secret).update(`form ${id}`).digest('base64url');
}

export function isFormToken(token: string, id: string, state: BrowserState): boolean {
  return isEqual(token, formToken(id, state));
}

/** Whether a client has the secret of its challenge (RFC 7636, section 4.6). */
export function isVerifier(verifier: string, challenge: string): boolean {
  return isEqual(secretDigest(verifier), challenge);
}

import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { open, type SealingKey, seal } from '../../engine/sealing/seal.ts';
import { openShort, sealShort } from '../../engine/sealing/short-seal.ts';
import { isEqual, secretDigest, writeLetters } from '../secret-text.ts';
import {
  type AttemptFields,
  packAttempt,
  shortenChallenge,
  unpackAttempt,
} from './attempt-bytes.ts';

/** How long a person has to log in, in milliseconds. */
export const attemptLifetime = 10 * 60_000;

/** A login that a client has begun and that a person continues in a browser; or a person's visit to change their second factors. */
export interface LoginAttempt extends AttemptFields {
  /** The name of the attempt, which is no secret: 16 characters that its sealed text determines. */
  readonly id: string;
  /** The attempt as the client has it in a URL. */
  readonly sealed: string;
  /**
   * Set in the path to which a proof sends the browser: only this path shows what comes next. It is random, and not sealed: without
   * the other half of its secret (see {@link joinLoginSecret}), another key leads nowhere.
   */
  readonly key?: string | undefined;
}

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

const sealedFor = 'short login attempts';
const letterPattern = (length: number) => new RegExp(`^[a-z2-7]{${length}}$`);
/** The length of an attempt's id: 80 bits. */
export const idLength = 16;
/** The length of the key in a path: 130 bits. */
export const keyLength = 26;
const [idPattern, keyPattern] = [letterPattern(idLength), letterPattern(keyLength)];

/** Whether a text could be the id of an attempt. */
export const isId = (text: string): boolean => idPattern.test(text);

/**
 * Seals attempts into URLs and cookies, so that no attempt takes memory of the gateway or of Redis before someone has proved
 * who they are: anyone can begin as many as they like. All replicas with the same keys can read them.
 *
 * @param keys the first key seals, all open
 * @param now the wall clock in milliseconds
 * @param clusters the names of the config
 */
export function createAttemptTexts(
  keys: readonly SealingKey[],
  now: () => number,
  clusters: readonly string[],
) {
  const requireKey = (): SealingKey => {
    const [newestKey] = keys;
    if (newestKey === undefined) throw new Error('there is no key to seal a login attempt');
    return newestKey;
  };
  return {
    /** Begins an attempt. One that is begun twice with the same values, within a second, is the same attempt. */
    begin(fields: AttemptFields): LoginAttempt {
      const bytes = packAttempt(fields);
      const text = sealShort(requireKey(), sealedFor, bytes);
      const sealed = text.bytes.toString('base64url');
      const until = Math.floor(fields.until / 1_000) * 1_000;
      return { ...fields, until, id: writeLetters(text.fingerprint), sealed };
    },
    /**
     * Reads an attempt from the text of {@link writePath}.
     *
     * @returns `expired` if no gateway with these keys wrote it, or if it has expired; `unknown-cluster` if its cluster is gone
     */
    read(text: string): LoginAttempt | 'expired' | 'unknown-cluster' {
      const [sealed = '', key, ...furtherParts] = text.split('.');
      const bytes = readBase64(sealed);
      if (bytes === undefined || furtherParts.length > 0) return 'expired';
      if (key !== undefined && !keyPattern.test(key)) return 'expired';
      const texts = keys.map((sealingKey) => openShort(sealingKey, sealedFor, bytes));
      const opened = texts.find((content) => content !== undefined);
      if (opened === undefined) return 'expired';
      const fields = unpackAttempt(opened.bytes, clusters);
      if (typeof fields === 'string') return fields;
      if (fields.until <= now()) return 'expired';
      return { ...fields, id: writeLetters(opened.fingerprint), sealed, key };
    },
    writeBrowser: (id: string, state: BrowserState): string =>
      seal(requireKey().derive('login cookies'), id, Buffer.from(JSON.stringify(state))).toString(
        'base64url',
      ),
    /** @returns undefined if the cookie is not for the attempt with this id */
    readBrowser(id: string, sealed: string): BrowserState | undefined {
      const bytes = readBase64(sealed);
      if (bytes === undefined) return undefined;
      const texts = keys.map((key) => open(key.derive('login cookies'), id, bytes));
      const plain = texts.find((text) => text !== undefined);
      return plain === undefined ? undefined : browser.safeParse(JSON.parse(plain.toString())).data;
    },
  };
}

/** Base64 is read leniently. A sealed text must have one spelling only. */
function readBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** Writes the path of an attempt. */
export function writePath({ sealed, key }: Pick<LoginAttempt, 'sealed' | 'key'>): string {
  return `/login/${sealed}${key === undefined ? '' : `.${key}`}`;
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

/** Whether a client has the secret of its shortened challenge (RFC 7636, section 4.6). */
export function isVerifier(verifier: string, challenge: string): boolean {
  return isEqual(shortenChallenge(secretDigest(verifier)), challenge);
}

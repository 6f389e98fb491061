import { AuthenticatorError, type AuthenticatorErrorCode, type Logger } from '@sallyport/authenticator';
import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { fetchDocument } from './document.ts';
import type { KeyLimits } from './options.ts';

/** What `check` compares with the config. */
interface Discovery {
  readonly jwksUri: string;
  /** What the issuer says that it signs with. Undefined: it does not say. */
  readonly algorithms: readonly string[] | undefined;
}

/** The keys of one issuer. */
export interface KeySet {
  /**
   * Returns the keys in force.
   *
   * @param signal of the caller, who waits only for the first keys
   * @throws AuthenticatorError when none were read yet, or not for `staleTtl`
   */
  current(signal: AbortSignal): Promise<JWTVerifyGetKey>;
  /**
   * Returns keys that were read after an unknown key id was seen, or undefined when the keys in force are as new as `cooldown`
   * allows: whatever ids callers make up, the issuer is asked once in that time.
   *
   * @throws AuthenticatorError `failed` when the last attempt to read them failed: tokens with known keys are checked as before
   */
  newer(signal: AbortSignal): Promise<JWTVerifyGetKey | undefined>;
  /** Reads the discovery document and the keys now, for `check`. Undefined: there is none, the keys are in a file. */
  read(signal: AbortSignal): Promise<Discovery | undefined>;
  close(): void;
}

/** What a key set reports. */
export interface KeyObserver {
  onKeys(count: number): void;
  onFailure(): void;
}

export interface FetchedKeysOptions {
  readonly issuer: string;
  /** The authenticator has no other issuer: an outage of this one is an outage of all, and may open the circuit. */
  readonly isOnly: boolean;
  readonly discoveryUrl: string;
  readonly limits: KeyLimits;
  /** PEM, read at each attempt. */
  readonly ca: () => Buffer | undefined;
  readonly logger: Logger;
  readonly observer: KeyObserver;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const discoverySchema = z.object({
  issuer: z.string(),
  jwks_uri: z.string(),
  id_token_signing_alg_values_supported: z.array(z.string()).optional().catch(undefined),
});

const jwksSchema = z.object({ keys: z.array(z.record(z.string(), z.unknown())) });

/** The members of a public key (RFC 7517, 7518 section 6, 8037). What else is there, a private part even, is not held. */
const publicMembers = ['kty', 'use', 'key_ops', 'alg', 'kid', 'crv', 'x', 'y', 'n', 'e'] as const;

/**
 * Takes the keys of a JWK set.
 *
 * @throws Error when it is none, or has too many keys
 */
export function parseKeys(document: unknown, maxKeys: number): readonly JWK[] {
  const { success, data } = jwksSchema.safeParse(document);
  if (!success) throw new Error('is no JWK set: it needs a list "keys"');
  if (data.keys.length > maxKeys) throw new Error(`has ${data.keys.length} keys, more than jwks.maxKeys (${maxKeys})`);
  return data.keys
    .filter(({ kty }) => kty === 'RSA' || kty === 'EC' || kty === 'OKP')
    .map((key) => Object.fromEntries(publicMembers.flatMap((name) => (name in key ? [[name, key[name]]] : []))) as JWK);
}

/**
 * Creates the keys that an issuer publishes. They are read now and every `refresh`, in the background; the last good ones are
 * used for `staleTtl`. jose's own remote set forgets good keys after 10 minutes, and asks again with each token while the issuer
 * is down.
 */
export function createFetchedKeys(options: FetchedKeysOptions): KeySet {
  const { issuer, limits, now } = options;
  const reader = createReader(options);
  const isCool = () => now() - reader.attemptedAt() >= limits.cooldown;
  /** Joins the attempt that is in progress, or makes one if the last one was long enough ago. */
  const readAgain = async (signal: AbortSignal) => {
    signal.throwIfAborted();
    if (reader.isReading() || isCool()) await orAborted(reader.read(), signal);
  };
  const inForce = () => {
    const { last } = reader;
    const keys = last();
    return keys !== undefined && now() - keys.readAt < limits.staleTtl ? keys : undefined;
  };
  const unchecked = (code: AuthenticatorErrorCode) => {
    const failure = reader.failure();
    const why = failure === undefined ? 'they were not read yet' : failure.message;
    return new AuthenticatorError(code, `the keys of issuer ${issuer} are not known: ${why}`);
  };
  void reader.read();
  return {
    async current(signal) {
      if (inForce() === undefined) await readAgain(signal);
      const keys = inForce();
      if (keys === undefined) throw unchecked(options.isOnly ? 'unavailable' : 'failed');
      return keys.find;
    },
    async newer(signal) {
      const before = reader.last();
      await readAgain(signal);
      if (reader.failure() !== undefined) throw unchecked('failed');
      const after = reader.last();
      return after === before ? undefined : after?.find;
    },
    read: (signal) => readIssuer(options, signal),
    close: reader.close,
  };
}

/** Keys as they were read. */
interface ReadKeys {
  readonly find: JWTVerifyGetKey;
  /** Monotonic milliseconds. */
  readonly readAt: number;
}

/** Reads the keys of an issuer again and again, one attempt at a time. */
interface Reader {
  /** Joins the attempt in progress, or makes one. It never rejects. */
  read(): Promise<void>;
  isReading(): boolean;
  /** Monotonic milliseconds. */
  attemptedAt(): number;
  last(): ReadKeys | undefined;
  /** Why the last attempt failed; undefined after one that did not. */
  failure(): Error | undefined;
  close(): void;
}

function createReader(options: FetchedKeysOptions): Reader {
  const { issuer, limits, logger, observer, now } = options;
  const closing = new AbortController();
  let last: ReadKeys | undefined;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let failure: Error | undefined;
  let attempt: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function attemptOnce(): Promise<void> {
    attemptedAt = now();
    clearTimeout(timer);
    try {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(limits.timeout)]);
      const { keys } = await readIssuer(options, signal);
      last = { find: createLocalJWKSet({ keys: [...keys] }), readAt: now() };
      failure = undefined;
      observer.onKeys(keys.length);
    } catch (error) {
      if (closing.signal.aborted) return;
      failure = error as Error;
      observer.onFailure();
      logger.warn({ issuer, reason: failure.message }, 'keys of an issuer could not be read');
    }
    timer = setTimeout(read, failure === undefined ? limits.refresh : limits.cooldown);
  }

  function read(): Promise<void> {
    attempt ??= attemptOnce().finally(() => {
      attempt = undefined;
    });
    return attempt;
  }

  return {
    read,
    isReading: () => attempt !== undefined,
    attemptedAt: () => attemptedAt,
    last: () => last,
    failure: () => failure,
    close() {
      closing.abort();
      clearTimeout(timer);
    },
  };
}

async function readIssuer(
  options: FetchedKeysOptions,
  signal: AbortSignal,
): Promise<Discovery & { readonly keys: readonly JWK[] }> {
  const { maxSize, maxKeys } = options.limits;
  const bounded = { ca: options.ca(), maxSize, signal };
  const discovery = parseDiscovery(await fetchDocument(options.discoveryUrl, bounded), options);
  const document = await fetchDocument(discovery.jwksUri, bounded);
  try {
    return { ...discovery, keys: parseKeys(document, maxKeys) };
  } catch (error) {
    throw new AuthenticatorError('unavailable', `${discovery.jwksUri} ${(error as Error).message}`);
  }
}

/** @throws AuthenticatorError when the document is not that of the issuer (OpenID Connect Discovery 1.0 section 4.3) */
function parseDiscovery(document: unknown, { issuer, discoveryUrl }: FetchedKeysOptions): Discovery {
  const fail = (why: string) => new AuthenticatorError('unavailable', `${discoveryUrl}: ${why}`);
  const { success, data } = discoverySchema.safeParse(document);
  if (!success) throw fail('is no discovery document: it needs issuer and jwks_uri');
  if (data.issuer !== issuer) throw fail('names another issuer than issuer.url, which must be the same byte for byte');
  const { jwks_uri: jwksUri, id_token_signing_alg_values_supported: algorithms } = data;
  const url = URL.parse(jwksUri);
  if (url?.protocol !== 'https:' || url.username || url.password) throw fail('its jwks_uri must be a URL with https');
  return { jwksUri, algorithms };
}

/** Waits no longer than the caller does. */
async function orAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

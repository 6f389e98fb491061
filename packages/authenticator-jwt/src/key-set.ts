import { request } from 'node:https';
import {
  AuthenticatorError,
  type AuthenticatorErrorCode,
  type Logger,
} from '@sallyport/authenticator';
import {
  AnswerTooBig,
  callHttp,
  explainHttpError,
  oneLine,
  parseJson,
  within,
} from '@sallyport/plugin-kit';
import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { algorithms, type KeyLimits } from './options.ts';

/** A key set has the keys of one issuer. */
export type KeySet = Pick<
  ReturnType<typeof createFetchedKeys>,
  'inForce' | 'current' | 'newer' | 'close'
> & {
  /**
   * Reads the keys and the discovery document. It returns undefined for keys in a file, which have
   * no such document.
   */
  read(signal: AbortSignal): Promise<
    | {
        readonly algorithms: readonly string[] | undefined;
        readonly isPrivate: boolean;
        readonly keys: readonly JWK[];
        readonly jwksUri: string;
      }
    | undefined
  >;
};

/** A key set reports to an observer what it has read, and what failed. */
export interface KeyObserver {
  onKeys(keys: readonly JWK[]): void;
  onFailure(): void;
}

interface FetchedKeysOptions {
  readonly issuer: string;
  /**
   * Whether the authenticator has no other issuer. Then an outage of this one is an outage of all,
   * and may open the circuit.
   */
  readonly isOnly: boolean;
  readonly discoveryUrl: string;
  readonly limits: KeyLimits;
  /** Returns the CAs as PEM, at each attempt. Undefined means the CAs of Node. */
  readonly ca: () => Buffer | undefined;
  readonly logger: Logger;
  readonly observer: KeyObserver;
  /** Returns monotonic milliseconds. */
  readonly now: () => number;
}

const discoverySchema = z.object({
  issuer: z.string(),
  jwks_uri: z.string(),
  id_token_signing_alg_values_supported: z.array(z.string()).optional().catch(undefined),
});

const jwksSchema = z.object({ keys: z.array(z.record(z.string(), z.unknown())) });

/**
 * These are the members of a public key (RFC 7517, 7518 section 6, 8037). All others are dropped,
 * even a private part.
 */
const publicMembers = ['kty', 'use', 'key_ops', 'alg', 'kid', 'crv', 'x', 'y', 'n', 'e'] as const;

/**
 * Reads the public keys of a JWK set.
 *
 * @throws Error when it is not a JWK set, or has too many keys
 */
export function parseKeys(document: unknown, maxKeys: number): readonly JWK[] {
  const { success, data } = jwksSchema.safeParse(document);
  if (!success)
    throw new Error(`is not a JWK set: it needs a list "keys"${explainOther(document)}`);
  if (data.keys.length > maxKeys)
    throw new Error(`has ${data.keys.length} keys, more than jwks.maxKeys (${maxKeys})`);
  return data.keys
    .filter(({ kty }) => kty === 'RSA' || kty === 'EC' || kty === 'OKP')
    .map(
      (key) =>
        Object.fromEntries(
          publicMembers.flatMap((name) => (name in key ? [[name, key[name]]] : [])),
        ) as JWK,
    );
}

/** Says how to make a JWK set of another JSON document that an issuer has. */
function explainOther(document: unknown): string {
  const { jwks_uri: jwksUri, kty } = Object(document);
  if (jwksUri !== undefined)
    return '. This is a discovery document: write the document at its jwks_uri';
  return kty === undefined ? '' : '. This is one key: write {"keys": [KEY]}';
}

/**
 * Says why no token can be checked with the keys of an issuer: jose finds only keys for signatures (RFC 7517 sections 4.2 and 4.3).
 *
 * @param accepted are the `algorithms` of an issuer whose keys are in a file. `check` compares others with the discovery document
 * @returns undefined where a key is for signatures with one of them
 */
export function whyNoUse(
  keys: readonly JWK[],
  accepted: readonly string[] = algorithms,
): string | undefined {
  const fix = "write the issuer's public keys that sign its tokens, as at its jwks_uri";
  if (keys.length === 0) return `has no public key: ${fix}`;
  const isFor = ({ use = 'sig', key_ops = ['verify'], alg }: JWK) =>
    use === 'sig' &&
    key_ops.includes('verify') &&
    (alg === undefined || algorithms.some((algorithm) => algorithm === alg));
  const signing = keys.filter(isFor);
  if (signing.some((key) => accepted.some((algorithm) => canSign(key, algorithm))))
    return undefined;
  if (signing.length > 0) {
    const possible = algorithms.filter((algorithm) =>
      signing.some((key) => canSign(key, algorithm)),
    );
    return `has no key for the algorithms that are accepted (${accepted.join(', ')}): write algorithms: [${possible.join(', ')}], or only what the issuer signs with`;
  }
  const members = (['use', 'key_ops', 'alg'] as const).flatMap((name) => {
    const values = new Set(keys.map((key) => key[name]).filter((value) => value !== undefined));
    return values.size === 0 ? [] : `${name}: ${oneLine([...values].map(String).join(', '))}`;
  });
  return (
    `has no key that can check a token (${members.join('; ')}): its keys need use: sig or none, key_ops: verify or none, ` +
    `and an alg of signatures or none: ${fix}`
  );
}

/** Matches the algorithms of each type of key (RFC 7518 section 3.1, RFC 8037 section 3.1). */
const algorithmsByType: Readonly<Record<string, RegExp>> = { RSA: /^[RP]S/, EC: /^ES/, OKP: /^Ed/ };

/** Whether signatures of a key can have this algorithm. */
function canSign({ kty = '', alg }: JWK, algorithm: string): boolean {
  if (alg !== undefined) return alg === algorithm;
  return algorithmsByType[kty]?.test(algorithm) === true;
}

/**
 * Whether a key set has what only its owner may know: the private part of a key, or a symmetric key
 * (RFC 7518 section 6).
 */
export function hasPrivateKey(document: unknown): boolean {
  const { data } = jwksSchema.safeParse(document);
  return data?.keys.some((key) => 'd' in key || 'k' in key) === true;
}

/**
 * Creates the keys that an issuer publishes. They are read now and every `refresh`, in the background; the last good ones are
 * used for `staleTtl`. jose's own remote set forgets good keys after 10 minutes, and asks again with each token while the issuer
 * is down.
 */
export function createFetchedKeys(options: FetchedKeysOptions) {
  const { issuer, limits, now } = options;
  const { state, read: readOnce, close } = createReader(options);
  /** Joins the attempt that is in progress, or makes one if the last one was long enough ago. */
  const readAgain = async (signal: AbortSignal) => {
    signal.throwIfAborted();
    const isCool = now() - state.attemptedAt >= limits.cooldown;
    if (state.attempt !== undefined || isCool) await within({ signal }, readOnce);
  };
  const fresh = () =>
    state.keys && now() - state.keys.readAt < limits.staleTtl ? state.keys : undefined;
  const unchecked = (code: AuthenticatorErrorCode) => {
    const problem = state.failure?.message ?? 'they were not read yet';
    return new AuthenticatorError(code, `the keys of issuer ${issuer} are not known: ${problem}`);
  };
  void readOnce();
  return {
    /** Returns the keys in force without asking the issuer; undefined when none are. */
    inForce: (): JWTVerifyGetKey | undefined => fresh()?.find,
    /**
     * Returns the keys in force.
     *
     * @param signal is that of the caller, who waits only for the first keys
     * @throws AuthenticatorError when none were read yet, or not for `staleTtl`
     */
    async current(signal: AbortSignal): Promise<JWTVerifyGetKey> {
      if (fresh() === undefined) await readAgain(signal);
      const keys = fresh();
      if (keys === undefined) throw unchecked(options.isOnly ? 'unavailable' : 'failed');
      return keys.find;
    },
    /**
     * Returns keys that were read after an unknown key id was seen, or undefined when the keys in force are as new as
     * `cooldown` allows: whatever ids callers make up, the issuer is asked once in that time.
     *
     * @throws AuthenticatorError `failed` when the last attempt to read them failed: tokens with known keys are checked as before
     */
    async newer(signal: AbortSignal): Promise<JWTVerifyGetKey | undefined> {
      const oldKeys = state.keys;
      await readAgain(signal);
      if (state.failure !== undefined) throw unchecked('failed');
      return state.keys === oldKeys ? undefined : state.keys?.find;
    },
    /**
     * Reads the discovery document and the keys now, for `check`. An issuer without an answer must
     * not use up the time of all.
     */
    read: (signal: AbortSignal) =>
      readIssuer(options, AbortSignal.any([signal, AbortSignal.timeout(limits.timeout)])),
    close,
  };
}

/** Reads the keys of an issuer again and again, one attempt at a time. */
function createReader(options: FetchedKeysOptions) {
  const { issuer, limits, logger, observer, now } = options;
  const closing = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const state = {
    /** The last good keys, and when they were read, in monotonic milliseconds. */
    keys: undefined as { readonly find: JWTVerifyGetKey; readonly readAt: number } | undefined,
    /** The last attempt began then, in monotonic milliseconds. */
    attemptedAt: Number.NEGATIVE_INFINITY,
    /** Undefined means that the last attempt succeeded. */
    failure: undefined as Error | undefined,
    /** The attempt in progress. Undefined: none is. */
    attempt: undefined as Promise<void> | undefined,
  };

  async function attemptOnce(): Promise<void> {
    state.attemptedAt = now();
    clearTimeout(timer);
    try {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(limits.timeout)]);
      const { keys } = await readIssuer(options, signal);
      state.keys = { find: createLocalJWKSet({ keys: [...keys] }), readAt: now() };
      state.failure = undefined;
      observer.onKeys(keys);
    } catch (error) {
      if (closing.signal.aborted) return;
      state.failure = error as Error;
      observer.onFailure();
      logger.warn({ issuer, reason: state.failure.message }, 'keys of an issuer could not be read');
    }
    timer = setTimeout(read, state.failure === undefined ? limits.refresh : limits.cooldown);
  }

  /** Joins the attempt in progress, or makes one. It never rejects. */
  function read(): Promise<void> {
    state.attempt ??= attemptOnce().finally(() => {
      state.attempt = undefined;
    });
    return state.attempt;
  }

  function close(): void {
    closing.abort();
    clearTimeout(timer);
  }

  return { state, read, close };
}

async function readIssuer(options: FetchedKeysOptions, signal: AbortSignal) {
  const discovery = parseDiscovery(
    await fetchDocument(options.discoveryUrl, options, signal),
    options,
  );
  const document = await fetchDocument(discovery.jwksUri, options, signal);
  try {
    const keys = parseKeys(document, options.limits.maxKeys);
    return { ...discovery, keys, isPrivate: hasPrivateKey(document) };
  } catch (error) {
    throw new AuthenticatorError('unavailable', `${discovery.jwksUri} ${(error as Error).message}`);
  }
}

/**
 * Fetches a JSON document with https, and not `fetch`, which takes no CA without a dispatcher of the very same undici. It
 * follows no redirect and asks for no compression.
 *
 * @throws AuthenticatorError `unavailable`, which names the URL, why, and how to fix it
 */
async function fetchDocument(
  url: string,
  { ca, limits }: FetchedKeysOptions,
  signal: AbortSignal,
): Promise<unknown> {
  const fail = (problem: string) => new AuthenticatorError('unavailable', `${url}: ${problem}`);
  const { maxSize } = limits;
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'sallyport',
  };
  // Left out, NODE_TLS_REJECT_UNAUTHORIZED in the environment would decide.
  const call = request(url, { agent: false, headers, signal, rejectUnauthorized: true, ca: ca() });
  const { status, body } = await callHttp(call, { statuses: [200], maxSize }).catch(
    (error: Error) => {
      if (error instanceof AnswerTooBig)
        throw fail(`is bigger than jwks.maxSize (${maxSize} bytes)`);
      if (signal.aborted) throw fail('no answer in time (jwks.timeout)');
      throw fail(
        explainHttpError(error, new URL(url).hostname).replaceAll(
          'caFile',
          'certificateAuthorityFile',
        ),
      );
    },
  );
  if (status >= 300 && status < 400) throw fail('answers with a redirect, which is not followed');
  if (status !== 200) throw fail(`answers ${status}`);
  const document = parseJson(body);
  if (document === undefined) throw fail('is not a JSON document: check the URL');
  return document;
}

/**
 * Reads a discovery document.
 *
 * @throws AuthenticatorError when it is not that of the issuer (OpenID Connect Discovery 1.0
 *   section 4.3)
 */
function parseDiscovery(document: unknown, { issuer, discoveryUrl }: FetchedKeysOptions) {
  const fail = (problem: string) =>
    new AuthenticatorError('unavailable', `${discoveryUrl}: ${problem}`);
  const { success, data } = discoverySchema.safeParse(document);
  if (!success) throw fail('is not a discovery document: it needs issuer and jwks_uri');
  if (data.issuer !== issuer)
    throw fail(
      `names the issuer ${JSON.stringify(data.issuer.slice(0, 200))}, and issuer.url must be the same byte for byte: write it there if you trust it`,
    );
  const { jwks_uri: jwksUri, id_token_signing_alg_values_supported: algorithms } = data;
  const url = URL.parse(jwksUri);
  if (url?.protocol !== 'https:' || url.username || url.password)
    throw fail('its jwks_uri must be a URL with https');
  return { jwksUri, algorithms };
}

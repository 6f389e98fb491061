import {
  type AuthenticateContext,
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type IdTokenIssuer,
  type Metrics,
  type PluginContext,
  type RejectionReason,
} from '@sallyport/authenticator';
import {
  parseAuthorities,
  parseJson,
  readUnverifiedJwt,
  tlsFileLimit,
  whyUnknownIssuer,
} from '@sallyport/plugin-kit';
import { createLocalJWKSet, type JWTVerifyGetKey } from 'jose';
import {
  type Claims,
  exampleUser,
  mapUser,
  mapUsername,
  readAudiences,
  readCredential,
  whyNoGroups,
} from './claims.ts';
import {
  createFetchedKeys,
  hasPrivateKey,
  type KeyObserver,
  type KeySet,
  parseKeys,
  whyNoUse,
} from './key-set.ts';
import { createKeyVersions } from './key-versions.ts';
import { listWarnings } from './looked-up-by.ts';
import type { IssuerOptions, JwtOptions } from './options.ts';
import { verifyJwt } from './verify.ts';

interface Issuer {
  readonly options: IssuerOptions;
  readonly keys: KeySet;
  /** What a client of the issuer needs. Undefined: its keys are in a file, and nothing is fetched from it. */
  readonly provider: IdTokenIssuer | undefined;
}

/**
 * Checks signed JWTs. The unverified `iss` chooses at most one issuer, before anything else.
 *
 * @param clocks return milliseconds since 1970, and monotonic milliseconds
 * @throws Error when a file can't be used
 */
export async function createJwtAuthenticator(
  options: JwtOptions,
  context: PluginContext,
  clocks = { date: Date.now, now: () => performance.now() },
): Promise<Authenticator> {
  const meter = keyMetrics(context.metrics, clocks.date);
  const versions = createKeyVersions(options.issuers);
  const observe = (issuer: string, index: number): KeyObserver => {
    const { onKeys, onFailure } = meter(issuer);
    return {
      onKeys(keys) {
        versions.set(index, keys);
        onKeys(keys);
      },
      onFailure,
    };
  };
  const issuers = new Map<string, Issuer>();
  const close = async () => {
    for (const { keys } of issuers.values()) keys.close();
  };
  try {
    const common = { now: clocks.now, isOnly: options.issuers.length === 1 };
    for (const [index, issuerOptions] of options.issuers.entries()) {
      const place = `options.issuers[${index}].issuer`;
      const opened = await openKeys(issuerOptions, context, {
        ...common,
        place,
        observer: observe(issuerOptions.url, index),
      });
      issuers.set(issuerOptions.url, { options: issuerOptions, ...opened });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    recognizes: (token) => issuers.has(readUnverifiedJwt(token)?.issuer ?? ''),
    whyUnrecognized: (token) => whyUnknownIssuer(token, [...issuers.keys()]),
    knownUsers: () => options.issuers.map(exampleUser),
    tokenAudiences: () =>
      options.issuers.map(({ url, audiences, apiAudiences }) => ({
        source: `issuer ${url}`,
        audiences: [...new Set([...audiences, ...apiAudiences])],
      })),
    answersVersion: versions.current,
    idTokenIssuers: () => [...issuers.values()].flatMap(({ provider }) => provider ?? []),
    async authenticate(token, { signal, trace }) {
      signal.throwIfAborted();
      const unverified = readUnverifiedJwt(token);
      const issuer = issuers.get(unverified?.issuer ?? '');
      if (unverified === undefined || issuer === undefined) return { kind: 'no-opinion' };
      const unverifiedToken = { token, claims: unverified.claims };
      const verified = await verifyJwt(
        unverifiedToken,
        issuer.options,
        issuer.keys,
        signal,
        clocks.date(),
      );
      if ('reason' in verified) {
        trace?.(`issuer ${issuer.options.url}: ${verified.problem}`);
        return refuse(verified.reason, verified.claims, issuer.options);
      }
      return decideByClaims(verified.claims, issuer.options, trace);
    },
    async check(signal, use) {
      await checkIssuers([...issuers.values()], context, signal);
      const warnings = options.issuers.flatMap(warnOfRules);
      return use?.lookedUpBy === undefined
        ? warnings
        : [...warnings, ...listWarnings(options.issuers, use.lookedUpBy)];
    },
    close,
  };
}

function decideByClaims(
  claims: Claims,
  options: IssuerOptions,
  trace?: AuthenticateContext['trace'],
): Decision {
  const user = mapUser(claims, options);
  if ('problem' in user) {
    trace?.(`issuer ${options.url}: ${user.problem}`, user.values);
    return refuse('invalid-credentials', claims, options);
  }
  trace?.(`issuer ${options.url}: the signature is valid`);
  const noGroups = trace && whyNoGroups(claims, options.mappings);
  if (noGroups !== undefined) trace?.(`issuer ${options.url}: ${noGroups}`);
  const audiences = readAudiences(claims).filter((audience) =>
    options.audiences.includes(audience),
  );
  const credential = readCredential(claims);
  return {
    kind: 'authenticated',
    user,
    ...(credential && { credential }),
    audiences: [...new Set([...audiences, ...options.apiAudiences])],
    expiresAt: new Date(Number(claims.exp) * 1000 + options.clockTolerance),
  };
}

/**
 * Makes a refusal.
 *
 * @param claims are left out where the signature is not known to be good: anyone may have written
 *   the name
 */
function refuse(
  reason: RejectionReason,
  claims: Claims | undefined,
  { mappings }: IssuerOptions,
): Decision {
  const subject = claims && mapUsername(claims, mappings);
  // A name that no audit record takes must not turn the refusal into an error.
  const isNamed = typeof subject === 'string' && subject.isWellFormed();
  const isForOthers = claims !== undefined && reason === 'audience-mismatch';
  return {
    kind: 'rejected',
    reason,
    ...(isNamed && { subject }),
    ...(isForOthers && { audiences: readAudiences(claims).filter((text) => text.isWellFormed()) }),
  };
}

interface OpenKeysOptions {
  /** Messages name this place of the issuer in the config. */
  readonly place: string;
  readonly observer: KeyObserver;
  readonly now: () => number;
  readonly isOnly: boolean;
}

async function openKeys(
  { url: issuer, audiences, algorithms, keys: source }: IssuerOptions,
  context: PluginContext,
  { place, ...common }: OpenKeysOptions,
): Promise<Pick<Issuer, 'keys' | 'provider'>> {
  if ('file' in source) {
    const keys = await openFile(source.file, algorithms, context, place, common.observer);
    return { keys, provider: undefined };
  }
  const { watchFile, logger } = context;
  const { caFile, ...fetched } = source;
  let ca: Buffer | undefined;
  const load = nameErrors(`${place}.certificateAuthorityFile: ${caFile}`, (pem) => {
    parseAuthorities(pem);
    ca = pem;
  });
  if (caFile !== undefined) await watchFile(caFile, load, { limit: tlsFileLimit });
  const provider = { issuer, discoveryUrl: source.discoveryUrl, audiences, ca: () => ca };
  return {
    keys: createFetchedKeys({ ...common, ...fetched, issuer, ca: provider.ca, logger }),
    provider,
  };
}

/** A file of the operator's own may have more keys than a fetched document. */
const maxKeysOfFile = 10_000;
const keyFileLimit = 4 * 1024 * 1024;

async function openFile(
  file: string,
  algorithms: readonly string[],
  { watchFile, logger }: PluginContext,
  place: string,
  observer: KeyObserver,
): Promise<KeySet> {
  let keys: JWTVerifyGetKey | undefined;
  const load = nameErrors(`${place}.jwksFile: ${file}`, (content) => {
    const document = parseJson(content);
    if (document === undefined) {
      const format = content.includes('-----BEGIN ') ? 'PEM, not JSON' : 'not a JSON document';
      throw new Error(
        `is ${format}: write a JWK set, such as the document at the jwks_uri of the issuer`,
      );
    }
    const publicKeys = parseKeys(document, maxKeysOfFile);
    const problem = whyNoUse(publicKeys, algorithms);
    if (problem !== undefined) throw new Error(problem);
    if (hasPrivateKey(document)) logger.warn({ file }, privateKeyFound);
    keys = createLocalJWKSet({ keys: [...publicKeys] });
    observer.onKeys(publicKeys);
  });
  await watchFile(file, load, { limit: keyFileLimit });
  return {
    inForce: () => keys,
    async current() {
      // Only `sallyport check` goes on with a file that could not be loaded, and asks nothing.
      if (keys === undefined) throw new Error('jwksFile was not loaded');
      return keys;
    },
    newer: async () => undefined,
    read: async () => undefined,
    close: () => undefined,
  };
}

const privateKeyFound =
  'the public keys of an issuer have a private key among them: anyone who reads it can make tokens. ' +
  'Replace that key, and publish its public part only';

/** Makes the errors of a loader begin with the file, and with the place where the config names it. */
function nameErrors(file: string, load: (content: Buffer) => void): (content: Buffer) => void {
  return (content) => {
    try {
      load(content);
    } catch (error) {
      throw new Error(`${file} ${error instanceof Error ? error.message : "can't be read"}`);
    }
  };
}

/**
 * Checks all issuers.
 *
 * @throws AuthenticatorError with the problems of all, so that an operator need not find them one
 *   by one
 */
async function checkIssuers(
  issuers: readonly Issuer[],
  context: PluginContext,
  signal: AbortSignal,
): Promise<void> {
  const checked = await Promise.allSettled(
    issuers.map((issuer) => checkIssuer(issuer, context, signal)),
  );
  const problems = checked.flatMap((result) =>
    result.status === 'rejected' ? [String(result.reason?.message)] : [],
  );
  if (problems.length > 0) throw new AuthenticatorError('unavailable', problems.join('; '));
}

/** Compares the config with what the issuer says of itself. */
async function checkIssuer(
  { options, keys }: Issuer,
  { logger }: PluginContext,
  signal: AbortSignal,
): Promise<void> {
  const published = await keys.read(signal);
  const { algorithms, isPrivate } = published ?? {};
  const problem = published && whyNoUse(published.keys);
  if (problem !== undefined)
    throw new AuthenticatorError('unavailable', `${published?.jwksUri} ${problem}`);
  if (isPrivate) logger.warn({ issuer: options.url }, privateKeyFound);
  if (
    algorithms === undefined ||
    options.algorithms.some((algorithm) => algorithms.includes(algorithm))
  )
    return;
  const fields = { issuer: options.url, signsWith: algorithms.join(', ').slice(0, 200) };
  logger.warn(fields, 'the issuer signs with none of algorithms');
}

/** Warns of rules whose value looks like a pattern, or is left out: no token passes them. */
function warnOfRules({ url, rules }: IssuerOptions): readonly string[] {
  return rules.flatMap(({ claim, requiredValue }) => {
    if (requiredValue === '') {
      const problem = `the rule for the claim ${claim} has no requiredValue, and accepts only an empty string, as in kube-apiserver`;
      return `issuer ${url}: ${problem}. Add requiredValue: VALUE to it`;
    }
    return typeof requiredValue === 'string' && requiredValue.includes('*')
      ? `issuer ${url}: requiredValue of the claim ${claim} contains a *, and values are compared exactly: no pattern matches. ` +
          'Write the whole value, or require another claim that is the same in all these tokens'
      : [];
  });
}

/** Makes the metrics of the keys. Their labels are the issuers of the config. */
function keyMetrics(metrics: Metrics, date: () => number): (issuer: string) => KeyObserver {
  const readAt = metrics.gauge({
    name: 'keys_read_timestamp_seconds',
    help: 'When the keys of an issuer were last read, seconds since 1970. An old time: the issuer is down, see key_read_failures_total.',
    labelNames: ['issuer'],
  });
  const keys = metrics.gauge({
    name: 'keys',
    help: 'Public keys of an issuer in force.',
    labelNames: ['issuer'],
  });
  const failures = metrics.counter({
    name: 'key_read_failures_total',
    help: 'Attempts to read the keys of an issuer that failed. The last valid keys are used for up to jwks.staleTtl.',
    labelNames: ['issuer'],
  });
  return (issuer) => ({
    onKeys(inForce) {
      readAt.set({ issuer }, date() / 1000);
      keys.set({ issuer }, inForce.length);
    },
    onFailure: () => failures.inc({ issuer }),
  });
}

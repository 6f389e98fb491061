import { isIPv4 } from 'node:net';
import {
  type Complain,
  choice,
  count,
  duration,
  flag,
  list,
  type Parsed,
  parseText,
  path,
  section,
  settleTls,
  size,
  type TlsOptions,
  tlsShape,
  value,
} from '@sallyport/plugin-options';
import type { z } from 'zod';
import { type ExtraRules, extraRules } from './extra.ts';
import { type Recognition, recognition } from './recognition.ts';

/** What an answer means that may be a refusal and may be an outage. */
type Meaning = 'no-opinion' | 'rejected' | 'unavailable';

/** What is sent as `spec.audiences`, and what must come back. */
type AudienceRule =
  | { readonly kind: 'pass' }
  | { readonly kind: 'none' }
  | { readonly kind: 'own'; readonly audiences: readonly string[] };

/** The options after all checks. */
export interface WebhookOptions {
  /** Where reviews are sent. It has no name and password. */
  readonly url: URL;
  readonly recognizes: Recognition;
  readonly mode: 'webhook' | 'api';
  readonly version: 'v1' | 'v1beta1';
  readonly audiences: AudienceRule;
  readonly onUnauthenticated: 'no-opinion' | 'rejected';
  readonly onUnauthorized: Meaning;
  /** The config says what `onUnauthorized` is. */
  readonly isUnauthorizedSet: boolean;
  readonly onError: Meaning;
  readonly extra: ExtraRules;
  /** A token for the peer itself, or the file that has it. */
  readonly bearer?: { readonly token: string } | { readonly file: string };
  /** Milliseconds for one review, the wait for a connection included. */
  readonly timeout: number;
  /** Bytes. */
  readonly maxResponseSize: number;
  readonly maxConnections: number;
  readonly tls: TlsOptions;
}

const example = 'https://webhook.example.com/authenticate';

/** No name and no password, which would be in messages, and no fragment, which is never sent. */
function parseUrl(input: unknown): Parsed<URL> {
  const parsed = parseText(input, example);
  if ('problem' in parsed) return parsed;
  const url = URL.parse(parsed.value);
  const fix = `write ${example}`;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return { problem: 'must be a URL with https', fix };
  if (url.username || url.password) return { problem: 'must have no name or password in it', fix: 'write bearer' };
  if (parsed.value.includes('#')) return { problem: 'must have no fragment', fix };
  return { value: url };
}

/** Traffic that never leaves this machine. */
function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'));
}

/** What may follow `Bearer ` in a header (RFC 6750 section 2.1), and nothing that could end it. */
export const bearerPattern: RegExp = /^[!-~]+$/;

const bearer = value(
  {
    description: 'A token for the peer itself, as { file: path } or { env: NAME }. A change reloads the config.',
    minLength: 1,
    writeOnly: true,
  },
  (input): Parsed<string> => {
    if (typeof input === 'string' && bearerPattern.test(input)) return { value: input };
    return { problem: 'must be a token of visible ASCII', fix: 'write { file: secrets/webhook-token }' };
  },
);

const audience = (input: unknown) => parseText(input, 'https://kubernetes.default.svc.cluster.local');

/** Checks the `options` of an authenticator. */
export const optionsSchema: z.ZodType<WebhookOptions> = section(
  {
    url: value(
      { description: 'Where reviews are sent. With mode api: the API server, without a path.', pattern: '^https?://' },
      parseUrl,
    ),
    recognizes: recognition,
    mode: choice('webhook, or api for the TokenReview API of a cluster.', ['webhook', 'api']).default('webhook'),
    version: choice('The API version of the reviews that are sent.', ['v1', 'v1beta1']).default('v1'),
    audiences: choice(
      'pass: those of the review are sent, and the answer counts for those that it names. own: ownAudiences are sent, and the answer must name one. none: none are sent.',
      ['pass', 'own', 'none'],
    ).default('pass'),
    ownAudiences: list(
      { description: 'With audiences: own. A token must be for one of them.', example: '[sallyport]' },
      { least: 1, most: 16 },
      audience,
    ).optional(),
    onUnauthenticated: choice('What `authenticated: false` without an error means.', [
      'no-opinion',
      'rejected',
    ]).default('no-opinion'),
    onUnauthorized: choice(
      'What the status 400, 401 or 403 means. Left out: no-opinion; with bearer or bearerFile, and with mode api: unavailable.',
      ['no-opinion', 'rejected', 'unavailable'],
    ).optional(),
    onError: choice('What `authenticated: false` with an error means.', [
      'unavailable',
      'no-opinion',
      'rejected',
    ]).default('unavailable'),
    extra: extraRules,
    bearer: bearer.optional(),
    bearerFile: path(
      'A file with a token for the peer itself, which is followed without a reload: for one that is renewed often.',
      '/var/run/secrets/sallyport/token',
    ).optional(),
    timeout: duration('For one review.', { least: '50ms', most: '30s' }).prefault('2s'),
    maxResponseSize: size('A bigger answer is refused while it is read.', { most: '4MiB' }).prefault('256KiB'),
    maxConnections: count('Connections to the peer; more reviews wait.', 1, 1000).default(100),
    insecure: flag('Allow http:// to another machine: anyone on the network path can read every token.'),
    ...tlsShape('webhook'),
  },
  `{ url: ${example}, recognizes: { prefixes: [k8s-aws-v1.] } }`,
  (keys, complain): WebhookOptions => {
    const { recognizes, mode, version, onUnauthenticated, onError, extra } = keys;
    const { timeout, maxResponseSize, maxConnections } = keys;
    refuseClearText(keys.url, keys.insecure, complain);
    const secure = keys.url.protocol === 'https:';
    const tls = settleTls(keys, { word: 'webhook', spoken: secure, fix: 'use https://' }, complain);
    const ownBearer = settleBearer(keys, complain);
    const hasBearer = ownBearer !== undefined;
    if (mode === 'api') requireCredential(hasBearer || tls.certFile !== undefined, complain);
    return {
      ...{ recognizes, mode, version, onUnauthenticated, onError, timeout, maxResponseSize, maxConnections, tls },
      url: mode === 'api' ? apiUrl(keys.url, version, complain) : keys.url,
      audiences: settleAudiences(keys.audiences, keys.ownAudiences, complain),
      onUnauthorized: settleUnauthorized(mode, hasBearer, keys.onUnauthorized, complain),
      isUnauthorizedSet: keys.onUnauthorized !== undefined,
      extra: extra.drop === undefined ? { ...extra, drop: mode === 'api' ? kubernetesKeys : [] } : extra,
      ...(ownBearer && { bearer: ownBearer }),
    };
  },
);

/** What an API server adds about pods, nodes and credentials: the identity policy refuses these keys. */
const kubernetesKeys = ['authentication.kubernetes.io/*'] as const;

function refuseClearText(url: URL, insecure: boolean | undefined, complain: Complain): void {
  const isClear = url.protocol === 'http:' && !isLoopback(url);
  if (isClear && insecure !== true) {
    complain(['url'], 'uses clear text: write https://, or insecure: true if anyone on the way may read every token');
  }
  if (!isClear && insecure === true) complain(['insecure'], 'has no effect, since no clear text is used: remove it');
}

function settleBearer(
  {
    bearer: token,
    bearerFile: file,
  }: { readonly bearer?: string | undefined; readonly bearerFile?: string | undefined },
  complain: Complain,
): WebhookOptions['bearer'] {
  if (token !== undefined && file !== undefined) complain(['bearerFile'], 'does nothing beside bearer: remove one');
  if (token !== undefined) return { token };
  return file === undefined ? undefined : { file };
}

function requireCredential(isThere: boolean, complain: Complain): void {
  if (isThere) return;
  complain(['bearerFile'], 'is missing: with mode api, set bearerFile, bearer, or certFile and keyFile');
}

/** As a kubeconfig has it: the API server may be below a path, behind a proxy. */
function apiUrl(url: URL, version: string, complain: Complain): URL {
  if (/\/apis\b/.test(url.pathname) || url.search !== '') {
    complain(['url'], `must be the API server alone, as in a kubeconfig: write ${url.origin}`);
  }
  return new URL(`${url.origin}${url.pathname.replace(/\/$/, '')}/apis/authentication.k8s.io/${version}/tokenreviews`);
}

function settleAudiences(
  kind: AudienceRule['kind'],
  own: readonly string[] | undefined,
  complain: Complain,
): AudienceRule {
  if (kind !== 'own') {
    if (own !== undefined) complain(['ownAudiences'], 'does nothing without audiences: own');
    return { kind };
  }
  if (own === undefined) complain(['ownAudiences'], 'must list the audiences of the tokens: write [sallyport]');
  return { kind, audiences: own ?? [] };
}

function settleUnauthorized(
  mode: WebhookOptions['mode'],
  hasBearer: boolean,
  written: Meaning | undefined,
  complain: Complain,
): Meaning {
  if (mode === 'webhook') return written ?? (hasBearer ? 'unavailable' : 'no-opinion');
  if (written !== undefined && written !== 'unavailable') {
    complain(
      ['onUnauthorized'],
      "must be unavailable with mode api: an API server means the gateway's own credential by 401 and 403",
    );
  }
  return 'unavailable';
}

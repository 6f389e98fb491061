import {
  type Complain,
  choice,
  count,
  duration,
  flag,
  isLoopback,
  list,
  type ParseResult,
  parseText,
  path,
  section,
  settleTls,
  size,
  tlsShape,
  value,
} from '@sallyport/plugin-kit';
import type { z } from 'zod';
import { extraRules } from './extra.ts';
import { recognition } from './recognition.ts';

/** The options after all checks. Times are milliseconds, sizes bytes. */
export type WebhookOptions = z.output<typeof optionsSchema>;

const example = 'https://webhook.example.com/authenticate';

/** Refuses a name and a password, which would be in messages, and a fragment, which is never sent. */
function parseUrl(input: unknown): ParseResult<URL> {
  const parsed = parseText(input, example);
  if ('problem' in parsed) return parsed;
  const url = URL.parse(parsed.value);
  const fix = `write ${example}`;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
    return { problem: 'must be a URL with https', fix };
  if (url.username || url.password)
    return {
      problem: 'must have no name or password in it',
      fix: 'remove them, and write bearer: { file: secrets/webhook-token } if the peer needs a token',
    };
  if (parsed.value.includes('#')) return { problem: 'must have no fragment', fix };
  return { value: url };
}

/** The characters that may follow `Bearer ` in a header (RFC 6750 section 2.1), and none that could end it. */
export const bearerPattern: RegExp = /^[!-~]+$/;

const bearerToken = value(
  {
    description:
      'A token for the peer itself, as { file: path } or { env: NAME }. A change reloads the config.',
    minLength: 1,
    writeOnly: true,
  },
  (input): ParseResult<string> => {
    if (typeof input === 'string' && bearerPattern.test(input)) return { value: input };
    return {
      problem: 'must be a token of visible ASCII',
      fix: 'write { file: secrets/webhook-token }',
    };
  },
);

const audience = (input: unknown) =>
  parseText(input, 'https://kubernetes.default.svc.cluster.local');

/** Checks the `options` of an authenticator. */
export const optionsSchema = section(
  {
    url: value(
      {
        description: 'Where reviews are sent. With mode api: the API server, as in a kubeconfig.',
        pattern: '^https?://',
      },
      parseUrl,
    ),
    recognizes: recognition,
    mode: choice('webhook, or api for the TokenReview API of a cluster.', [
      'webhook',
      'api',
    ]).default('webhook'),
    version: choice('The API version of the reviews that are sent.', ['v1', 'v1beta1']).default(
      'v1',
    ),
    audiences: choice(
      'Which audiences are sent. pass: the audiences of the review; the token is valid for those in the answer. own: ownAudiences; the answer must contain one of them. none: no audiences.',
      ['pass', 'own', 'none'],
    ).default('pass'),
    ownAudiences: list(
      {
        description: 'With audiences: own. A token must be for one of them.',
        example: '[sallyport]',
      },
      { min: 1, max: 16 },
      audience,
    ).optional(),
    onUnauthenticated: choice('What `authenticated: false` without an error means.', [
      'no-opinion',
      'rejected',
    ]).default('no-opinion'),
    onUnauthorized: choice(
      'What the status 400, 401 or 403 means. Default: no-opinion; with bearer, bearerFile or mode api, unavailable.',
      ['no-opinion', 'rejected', 'unavailable'],
    ).optional(),
    onError: choice('What `authenticated: false` with an error means.', [
      'unavailable',
      'no-opinion',
      'rejected',
    ]).default('unavailable'),
    extra: extraRules,
    bearer: bearerToken.optional(),
    bearerFile: path(
      'A file with a token for the peer itself, read again without a reload: for a token that is renewed often.',
      '/var/run/secrets/sallyport/token',
    ).optional(),
    timeout: duration('Time limit for one review.', { min: '50ms', max: '30s' }).prefault('2s'),
    maxResponseSize: size('A larger answer is refused while it is read.', { max: '4MiB' }).prefault(
      '256KiB',
    ),
    maxConnections: count('Connections to the peer; more reviews wait.', 1, 1000).default(100),
    insecure: flag(
      'Allow http:// to another machine: anyone on the network path can read every token.',
    ),
    ...tlsShape('webhook'),
  },
  `{ url: ${example}, recognizes: { prefixes: [k8s-aws-v1.] } }`,
  (keys, complain) => {
    const { recognizes, mode, version, onUnauthenticated, onError, extra } = keys;
    refuseClearText(keys.url, keys.insecure, complain);
    const secure = keys.url.protocol === 'https:';
    const tls = settleTls(keys, { word: 'webhook', spoken: secure, fix: 'use https://' }, complain);
    const bearer = settleBearer(keys.bearer, keys.bearerFile, complain);
    const hasBearer = bearer !== undefined;
    if (mode === 'api' && !hasBearer && tls.certFile === undefined) {
      complain(
        ['bearerFile'],
        'is missing',
        'with mode api, set bearerFile, bearer, or certFile and keyFile',
      );
    }
    const { timeout, maxResponseSize, maxConnections } = keys;
    const limits = { timeout, maxResponseSize, maxConnections };
    return {
      recognizes,
      mode,
      version,
      onUnauthenticated,
      onError,
      ...limits,
      tls,
      bearer,
      url: mode === 'api' ? apiUrl(keys.url, version, complain) : keys.url,
      audiences: settleAudiences(keys.audiences, keys.ownAudiences, complain),
      onUnauthorized: settleUnauthorized(mode, hasBearer, keys.onUnauthorized, complain),
      isUnauthorizedSet: keys.onUnauthorized !== undefined,
      extra:
        extra.drop === undefined ? { ...extra, drop: mode === 'api' ? kubernetesKeys : [] } : extra,
    };
  },
);

/** Keys that an API server adds about pods, nodes and credentials. The identity policy refuses them. */
const kubernetesKeys = ['authentication.kubernetes.io/*'] as const;

function refuseClearText(url: URL, insecure: boolean | undefined, complain: Complain): void {
  const isClear = url.protocol === 'http:' && !isLoopback(url.hostname.replace(/^\[(.*)\]$/, '$1'));
  if (isClear && insecure !== true) {
    complain(
      ['url'],
      'uses clear text',
      'write https://, or insecure: true if anyone on the way may read every token',
    );
  }
  if (!isClear && insecure === true)
    complain(['insecure'], 'has no effect, since no clear text is used', 'remove it');
}

/** Settles the token for the peer itself, or the file that has it. */
function settleBearer(token: string | undefined, file: string | undefined, complain: Complain) {
  if (token !== undefined && file !== undefined)
    complain(['bearerFile'], 'has no effect next to bearer', 'remove one');
  if (token !== undefined) return { token };
  return file === undefined ? undefined : { file };
}

/** Makes the URL of reviews from that of a kubeconfig. The API server may be below a path, behind a proxy. */
function apiUrl(url: URL, version: string, complain: Complain): URL {
  if (/\/apis\b/.test(url.pathname) || url.search !== '') {
    complain(['url'], `must be the API server alone, as in a kubeconfig`, `write ${url.origin}`);
  }
  return new URL(
    `${url.origin}${url.pathname.replace(/\/$/, '')}/apis/authentication.k8s.io/${version}/tokenreviews`,
  );
}

/** Settles what is sent as `spec.audiences`, and what must come back. */
function settleAudiences(
  kind: 'pass' | 'none' | 'own',
  ownAudiences: readonly string[] | undefined,
  complain: Complain,
) {
  if (kind !== 'own') {
    if (ownAudiences !== undefined)
      complain(
        ['ownAudiences'],
        'does nothing without audiences: own',
        'write it, or remove this key',
      );
    return { kind };
  }
  if (ownAudiences === undefined)
    complain(['ownAudiences'], 'must list the audiences of the tokens', 'write [sallyport]');
  return { kind, audiences: ownAudiences ?? [] };
}

function settleUnauthorized(
  mode: 'webhook' | 'api',
  hasBearer: boolean,
  onUnauthorized: 'no-opinion' | 'rejected' | 'unavailable' | undefined,
  complain: Complain,
) {
  if (mode === 'webhook') return onUnauthorized ?? (hasBearer ? 'unavailable' : 'no-opinion');
  if (onUnauthorized !== undefined && onUnauthorized !== 'unavailable') {
    complain(
      ['onUnauthorized'],
      "must be unavailable with mode api: an API server means the gateway's own credential by 401 and 403",
    );
  }
  return 'unavailable';
}

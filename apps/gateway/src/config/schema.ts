import { count, duration, size } from '@sallyport/plugin-kit';
import { z } from 'zod';
import { authenticatorCache, fileLifetimes } from './cache/lifetimes.ts';
import { cacheRedis } from './cache/redis.ts';
import { loginSchema } from './login.ts';
import { listenKey, tlsKeys } from './server-keys.ts';
import type { JsonSchema } from './unknown-keys.ts';

/** The pattern of a name, which is a value of metric labels and in errors to kube-apiserver. */
const namePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const text = z.string().min(1);
const positive = z.int().min(1);

/** Makes a section that may be left out, since each of its keys may. */
function section<Shape extends z.ZodRawShape>(description: string, shape: Shape) {
  const schema = z.strictObject(shape);
  return schema.prefault({} as z.input<typeof schema>).describe(description);
}

const tls = z
  .strictObject({
    ...tlsKeys("The server's"),
    clientCAFile: text
      .exactOptional()
      .describe('The CAs that sign the client certificates, PEM. Needs clientNames.'),
    clientNames: z
      .array(text)
      .min(1)
      .exactOptional()
      .describe(
        'The clients that may send reviews: the CN or a SAN of the client certificate, exactly. A cluster CA signs every kubelet too.',
      ),
    clientAuth: z
      .literal('none')
      .exactOptional()
      .describe(
        '"none": any client that reaches the port may send reviews. In place of clientCAFile and clientNames.',
      ),
  })
  .superRefine(requireClients)
  .transform(({ clientCAFile: caFile, clientNames: names, clientAuth: _, ...own }) => ({
    ...own,
    /** Left out with `clientAuth: none`: no client is asked for a certificate then. */
    ...(caFile !== undefined && names !== undefined && { client: { caFile, names } }),
  }))
  .describe('TLS with client certificates. Required unless server.listen is a loopback address.');

/** Requires that the config says explicitly which clients may send reviews. */
function requireClients(
  keys: { clientCAFile?: string; clientNames?: string[]; clientAuth?: 'none' },
  context: z.RefinementCtx,
) {
  const complain = (path: (keyof typeof keys)[], problem: string, fix: string) =>
    context.addIssue({ code: 'custom', path, params: { problem, fix, at: 'key' } });
  const { clientCAFile: file, clientNames: names, clientAuth } = keys;
  if (clientAuth === 'none') {
    if (file === undefined && names === undefined) return;
    complain(
      ['clientAuth'],
      '"none" contradicts clientCAFile and clientNames',
      'keep the one or the others',
    );
  } else if (file === undefined && names === undefined) {
    const fix = 'set clientCAFile and clientNames, or set clientAuth: none explicitly';
    complain([], 'no client authentication is configured', fix);
  } else if (names === undefined) {
    const problem = 'alone lets in every certificate of that CA, each kubelet too';
    complain(['clientCAFile'], problem, 'add clientNames: [kube-apiserver]');
  } else if (file === undefined) {
    complain(
      ['clientNames'],
      'need a CA: without one, anyone can make such a certificate',
      'add clientCAFile',
    );
  }
}

const server = section('The address that kube-apiserver calls, and its limits.', {
  listen: listenKey(
    'Where TokenReviews are answered. Plain HTTP is allowed on loopback only. Port 0 takes a free one.',
    8080,
  ),
  tls: tls.exactOptional(),
  apiAudiences: z
    .array(text)
    .default([])
    .describe(
      "The API server's own audiences (--api-audiences): a review that names none means these.",
    ),
  reviewTimeout: duration('For one review in all, whatever its authenticators take.', {
    max: '30s',
    why: 'kube-apiserver waits 30 s for an answer, once',
  }).prefault('10s'),
  maxBodySize: size('A bigger request is answered 413.', {
    max: '3MiB',
    why: 'kube-apiserver itself takes no TokenReview over 3 MiB',
  }).prefault('256KiB'),
  maxTokenSize: size('A bigger token is unknown, and no authenticator is asked.', {
    max: '1MiB',
    why: 'kube-apiserver takes at most 1 MiB of headers, the token in them',
  }).prefault('16KiB'),
  maxInFlight: count(
    'Concurrent reviews, until their backend work has ended; more are answered 429. 2 to 100000.',
    2,
    100_000,
  ).default(1000),
  maxConnectionAge: duration(
    'A connection is closed gracefully after this, 10 % sooner or later, so that replicas share the load.',
  ).prefault('10m'),
  shutdownDelay: duration('After SIGTERM: not ready, but still taking reviews for this long.', {
    min: '0',
  }).prefault('5s'),
  drainTimeout: duration(
    'After shutdownDelay: how long reviews in progress may take to end.',
  ).prefault('20s'),
});

const authenticator = z.strictObject({
  name: z
    .string()
    .max(63)
    .regex(namePattern, 'must be lowercase letters, digits and inner dashes, such as corp-ldap')
    .describe('Unique; the label in metrics, logs and errors.'),
  use: text.describe(
    'The plugin: a bare word is the package @sallyport/authenticator-WORD; else @scope/name, or ./path of a file next to this one.',
  ),
  options: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("The plugin's own options. A secret is { env: NAME } or { file: path }."),
  timeout: duration(
    'For one answer of this authenticator; shorter than server.reviewTimeout.',
  ).prefault('3s'),
  maxConcurrent: positive
    .exactOptional()
    .describe(
      'Concurrent lookups; more wait, and could not be checked after timeout. Left out: an equal share of server.maxInFlight with one share left free, at most 100. Of all authenticators together less than server.maxInFlight.',
    ),
  circuit: section('When an authenticator that does not answer is skipped.', {
    minimumCalls: positive
      .default(5)
      .describe('It opens after at least this many calls in 10 s, half of them outages.'),
    openFor: duration(
      'How long it stays open: the authenticator is not called then. It ends sooner when the plugin has a connection again.',
    ).prefault('5s'),
  }),
  onError: z
    .enum(['continue', 'stop'])
    .default('continue')
    .describe(
      'When this authenticator could not check a token: ask the next one, or end the review as an error.',
    ),
  allowSystemNames: z
    .array(
      z.string().regex(/^system:/, 'must begin with "system:": other names need no permission'),
    )
    .default([])
    .describe('Globs of the "system:" users and groups this authenticator may name.'),
  allowCredentialId: z
    .boolean()
    .default(false)
    .describe(
      'Whether it may set the extra key authentication.kubernetes.io/credential-id, which kube-apiserver writes into its audit log.',
    ),
  username: section('How usernames look to Kubernetes.', {
    prefix: z.string().default('').describe('Put before each username.'),
  }),
  groups: section('Which groups reach Kubernetes, and how they look there.', {
    prefix: z.string().default('').describe('Put before each group.'),
    allow: z
      .array(text)
      .exactOptional()
      .describe(
        'Globs of the groups that pass, as the backend names them, before the prefix. Left out: all.',
      ),
    max: positive.default(1000).describe('A user in more groups is refused.'),
  }),
  cache: authenticatorCache.exactOptional(),
});

const cache = section(
  'How answers are cached: the defaults of each authenticator whose answers are cached, and where.',
  {
    ...fileLifetimes,
    memory: section('What each replica caches in its own memory.', {
      maxEntries: count(
        'Positive answers cached; as many negative ones again, with a limit of their own. 100 to 10000000.',
        100,
        10_000_000,
      ).default(50_000),
    }),
    redis: cacheRedis.exactOptional(),
  },
);

const provenance = z
  .strictObject({
    keyPrefix: z
      .string()
      .regex(
        /^(?=.{1,200}$)([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
        'must be a DNS domain of yours in lowercase, such as sallyport.example.com',
      )
      .refine(
        (domain) => !/(^|\.)(k8s|kubernetes)\.io$/.test(domain),
        "must not be in k8s.io or kubernetes.io: these domains are Kubernetes' own",
      )
      .describe(
        'A DNS domain of yours: the keys are DOMAIN/authenticator and DOMAIN/credential, and of a session DOMAIN/authenticated-at.',
      ),
  })
  .describe(
    "Adds to each user's extra which authenticator answered and the audit fingerprint of the token, so that kube-apiserver's audit log can be joined with ours. Left out: adds nothing.",
  );

const tracing = z
  .strictObject({
    endpoint: z
      .url({
        protocol: /^https?$/,
        error: 'must be a URL, such as http://otel-collector:4318/v1/traces',
      })
      .refine((url) => {
        const { username, password } = URL.parse(url) ?? {};
        return !username && !password;
      }, 'must have no name or password in it: this section has no secrets')
      .describe(
        'Where an OpenTelemetry collector takes OTLP over HTTP, such as http://otel-collector:4318/v1/traces.',
      ),
    sampleRatio: z
      .number({ error: 'must be a number from 0 to 1' })
      .min(0, 'must be a number from 0 to 1')
      .max(1, 'must be a number from 0 to 1')
      .default(0.1)
      .describe(
        'The share of the traces that begin here, 0 to 1. A caller that sends a trace of its own has decided.',
      ),
  })
  .describe(
    'OpenTelemetry spans: one a review, one an authenticator, cache and Redis beneath. Left out: none.',
  );

const audit = z
  .strictObject({
    output: text
      .regex(/^(?!stderr$)/, 'must be stdout or a file: standard error is for the log')
      .transform((output) => (output === 'stdout' ? output : { file: output }))
      .describe(
        '"stdout", or a file, its path relative to this one: mode 0600; reopened at SIGHUP.',
      ),
  })
  .describe('The audit trail: one JSON line a decision. Left out: none is written.');

/**
 * The schema of a whole gateway.yaml: types, bounds, defaults and descriptions. Plugins check their options, and rules.ts checks what
 * values demand of each other.
 */
export const fileSchema = z.strictObject({
  server,
  admin: section('The address for probes.', {
    listen: listenKey('Where /metrics, /livez and /readyz are answered, without TLS.', 8081),
    statusPage: z
      .boolean()
      .exactOptional()
      .describe(
        'The status page at /. Left out: on a loopback address only. true: any client that reaches the port reads names of users.',
      ),
  }),
  authenticators: z
    .array(authenticator)
    .min(1)
    .describe('Asked in this order; the first definitive answer decides.'),
  cache,
  lockout: section(
    "Keeps a directory from locking accounts, for plugins that send passwords. Below the directory's own limit.",
    {
      maxFailures: positive
        .default(3)
        .describe('Refused attempts of one user in the window; then no more are sent.'),
      window: duration('How long a refused attempt counts.').prefault('10m'),
    },
  ),
  login: loginSchema.exactOptional(),
  audit: audit.exactOptional(),
  provenance: provenance.exactOptional(),
  tracing: tracing.exactOptional(),
  log: section('What is logged to standard error.', {
    level: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('The lowest level that is logged.'),
  }),
});

type Immutable<Value> = Value extends Uint8Array
  ? Value
  : Value extends object
    ? { readonly [Key in keyof Value]: Immutable<Value[Key]> }
    : Value;

/**
 * A FileConfig is gateway.yaml as its schema returns it: each value is valid by itself, with defaults. All durations are in
 * milliseconds, all sizes in bytes.
 */
export type FileConfig = Immutable<z.output<typeof fileSchema>>;

/** Returns the schema for editors and for the search for unknown keys. It allows any options of plugins. */
export function fileJsonSchema(): JsonSchema {
  return z.toJSONSchema(fileSchema, { io: 'input', target: 'draft-2020-12' });
}

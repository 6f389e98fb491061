import { count, duration, size } from '@sallyport/plugin-kit';
import { z } from 'zod';
import { acknowledgement } from './acknowledgements.ts';
import { answerAge, authenticatorCache, fileLifetimes } from './cache/lifetimes.ts';
import { cacheRedis } from './cache/redis.ts';
import {
  booleanKey,
  choiceKey,
  filledText,
  listenKey,
  positiveKey,
  textKey,
  textListKey,
  tlsKeys,
} from './keys.ts';
import { loginSchema } from './login.ts';
import type { JsonSchema } from './schema-parts.ts';

/** The pattern of a name, which is a value of metric labels and in errors to kube-apiserver. */
export const namePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** Makes a section that may be left out, since each of its keys may. */
function section<Shape extends z.ZodRawShape>(description: string, shape: Shape) {
  const schema = z.strictObject(shape);
  return schema.prefault({} as z.input<typeof schema>).describe(description);
}

const tls = z
  .strictObject({
    ...tlsKeys("The server's"),
    clientCAFile: textKey(
      'CAs that sign the client certificates (PEM). Requires `clientNames`.',
    ).exactOptional(),
    clientNames: textListKey(
      'Clients that are allowed to send reviews: the exact CN or a SAN of each client certificate, without `CN=` or `DNS:`, such as `kube-apiserver` or `spiffe://example.com/kube-apiserver`. Not a pattern: `*` lets no one in.',
    )
      .min(1)
      .exactOptional(),
    clientAuth: z
      .literal('none', {
        error:
          'must be none, or left out: with clientCAFile and clientNames, clients need a certificate',
      })
      .exactOptional()
      .describe(
        'Lets any client that reaches the port send reviews. Replaces `clientCAFile` and `clientNames`.',
      ),
  })
  .superRefine(requireClients)
  .transform(({ clientCAFile: caFile, clientNames: names, clientAuth: _, ...keys }) => ({
    ...keys,
    /** Left out with `clientAuth: none`: no client is asked for a certificate then. */
    ...(caFile !== undefined && names !== undefined && { client: { caFile, names } }),
  }))
  .describe('TLS with client certificates. Required unless `server.listen` is a loopback address.');

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
      'remove clientAuth, or remove clientCAFile and clientNames',
    );
  } else if (file === undefined && names === undefined) {
    const fix = 'set clientCAFile and clientNames, or set clientAuth: none explicitly';
    complain([], 'no client authentication is configured', fix);
  } else if (names === undefined) {
    const problem =
      'without clientNames accepts every certificate of that CA, including those of kubelets';
    complain(['clientCAFile'], problem, 'add clientNames: [kube-apiserver]');
  } else if (file === undefined) {
    complain(
      ['clientNames'],
      'need a CA: without one, anyone can make a certificate with such a name',
      'add clientCAFile',
    );
  }
}

const server = section('The address that kube-apiserver calls, and its limits.', {
  listen: listenKey(
    'Address for TokenReviews, at the path `/authenticate`. Needs `server.tls` unless it is a loopback address.',
    8080,
  ),
  tls: tls.exactOptional(),
  authorize: booleanKey(
    'Whether `POST /authorize` denies blocked users, groups and credentials each request to the cluster, as an authorization webhook of kube-apiserver. It never allows anything. See docs/authorize.md.',
  ).default(false),
  apiAudiences: textListKey(
    "The API server's own audiences, as in its `--api-audiences`. They apply to a review that names no audience.",
  ).default([]),
  reviewTimeout: duration(
    'Time limit for a review over all authenticators. kube-apiserver waits 30s for an answer and does not retry after that.',
    { max: '30s', why: 'kube-apiserver waits 30s for an answer and does not retry after that' },
  ).prefault('10s'),
  maxBodySize: size('Maximum size of a request; a larger one gets HTTP 413.', {
    max: '3MiB',
    why: 'kube-apiserver itself takes no TokenReview over 3 MiB',
  }).prefault('256KiB'),
  maxTokenSize: size(
    'Maximum size of a token. A larger token is unknown, and no authenticator gets it. Must be less than `server.maxBodySize`.',
    { max: '1MiB', why: 'kube-apiserver takes at most 1 MiB of headers, the token in them' },
  ).prefault('16KiB'),
  maxInFlight: count(
    'Maximum number of concurrent reviews; further ones get HTTP 429. Must be more than the sum of all `maxConcurrent`.',
    2,
    100_000,
  ).default(1000),
  maxConnectionAge: duration(
    'How long a connection is used before it is closed gracefully (give or take 10 %), so that replicas share the load.',
  ).prefault('10m'),
  shutdownDelay: duration(
    'How long after SIGTERM the gateway accepts reviews while `/readyz` fails.',
    { min: '0' },
  ).prefault('5s'),
  drainTimeout: duration(
    'How long reviews can take to finish after `shutdownDelay`, before their connections are cut.',
  ).prefault('20s'),
});

const directory = z
  .strictObject({
    authenticator: textKey(
      'The authenticator in which the users are looked up, such as one with `use: ldap`.',
    ),
    by: z
      .union(
        [z.enum(['username', 'uid']), z.strictObject({ extra: textKey('The key of `extra`.') })],
        {
          error: ({ input }) =>
            input === null ? undefined : 'must be username, uid, or { extra: KEY }',
        },
      )
      .default('username')
      .describe(
        'What a user is looked up by: `username` or `uid`, as the backend gives it, or `{ extra: KEY }`, which must have exactly one value.',
      ),
    groups: choiceKey(
      "Which groups the user gets: those of the directory (`replace`), both (`add`), or the token's own (`keep`).",
      ['replace', 'add', 'keep'],
    ).default('replace'),
    missing: choiceKey(
      'Whether a user who has no account in the directory is refused. With `accept`, they get no groups, or their own with `add` and `keep`.',
      ['reject', 'accept'],
    ).default('reject'),
    refresh: duration(
      'How long an answer of the directory is used before the next lookup. While it is down, its last answer is used for its `staleTtl` more.',
      { ...answerAge, min: '1s' },
    ).prefault('5m'),
  })
  .describe(
    'Looks each user up in a directory, for their groups and the state of their account. See docs/directory.md. No user is looked up by default.',
  );

const authenticator = z.strictObject({
  name: z
    .string()
    .max(63)
    .regex(namePattern, 'must be lowercase letters, digits and inner dashes, such as corp-ldap')
    .describe(
      'Unique name: lowercase letters, digits and inner dashes, at most 63. It is in metrics, logs and errors, even those that kube-apiserver gets.',
    ),
  use: textKey(
    'The plugin: a bare word (`ldap` is the package `@sallyport/authenticator-ldap`), a package `@scope/name`, or a file `./path`, relative to this one.',
  ),
  options: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('Options of the plugin. Write a secret as `{ env: NAME }` or `{ file: path }`.'),
  timeout: duration(
    'Time limit for one answer of this authenticator; then the result is an error. Must be less than `server.reviewTimeout`.',
  ).prefault('3s'),
  maxConcurrent: positiveKey(
    'Maximum number of concurrent lookups. Further ones wait, and fail after `timeout`. Default: an equal share of `server.maxInFlight` with one share left free, at most 100. The last quarter is for tokens that were valid before.',
  ).exactOptional(),
  circuit: section('When an authenticator whose backend is down is skipped.', {
    minimumCalls: positiveKey(
      'The circuit opens if, of at least this many calls in 10s, at least half failed because the backend was unavailable.',
    ).default(5),
    openFor: duration(
      'How long the circuit stays open and the authenticator is not called. It closes sooner if the plugin reconnects.',
    ).prefault('5s'),
  }),
  onError: choiceKey(
    'After an error of this authenticator: call the next one, or end the review with an error.',
    ['continue', 'stop'],
  ).default('continue'),
  reviews: booleanKey(
    "Whether token reviews call this authenticator. With `false`, only `login` and the `directory` of others use it, so its passwords can't bypass `login.secondFactor`.",
  ).default(true),
  allowSystemNames: z
    .array(
      z
        .string()
        .superRefine((name, context) => {
          if (name.startsWith('system:')) return;
          const problem = 'must begin with "system:": other names need no permission';
          const fix = /^\w+$/.test(name)
            ? `write system:${name} if that is a name of Kubernetes, else remove it`
            : 'write a name of Kubernetes such as system:masters, or remove it';
          context.addIssue({ code: 'custom', params: { problem, fix } });
        })
        .meta({ pattern: '^system:' }),
    )
    .default([])
    .describe(
      'Globs of the `system:` users and groups that this authenticator is allowed to return.',
    ),
  allowCredentialId: booleanKey(
    'Allow the extra key `authentication.kubernetes.io/credential-id`, which kube-apiserver writes to its audit log.',
  ).default(false),
  username: section('How usernames look to Kubernetes.', {
    prefix: z.string().default('').describe('Prefix of every username, such as `corp:`.'),
  }),
  groups: section('Which groups reach Kubernetes, and how they look there.', {
    prefix: z.string().default('').describe('Prefix of every group, such as `corp:`.'),
    allow: textListKey(
      'Globs of the groups that reach Kubernetes, without the prefix. Other groups are dropped; `[]` drops all of them. Default: every group passes.',
    ).exactOptional(),
    max: positiveKey(
      'Maximum number of groups that pass `allow`. A user in more of them is refused.',
    ).default(1000),
  }),
  directory: directory.exactOptional(),
  cache: authenticatorCache.exactOptional(),
});

const cache = section(
  'How answers are cached: the defaults of each authenticator whose answers are cached, and where.',
  {
    ...fileLifetimes,
    memory: section('What each replica caches in its own memory.', {
      maxEntries: count(
        'Maximum number of cached positive answers in each replica. The same number of negative answers is cached separately.',
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
        "must not be in k8s.io or kubernetes.io: these domains are Kubernetes' own. Write one of yours, such as sallyport.example.com",
      )
      .describe('A DNS domain of yours, for the extra keys.'),
  })
  .describe(
    "Adds extra keys to each user that join kube-apiserver's audit log with the audit trail: the authenticator and the fingerprint of the token. Nothing is added by default.",
  );

const shareError = 'must be a number from 0 to 1, such as 0.1 for 10 %';

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
        "OTLP/HTTP endpoint of an OpenTelemetry collector, for JSON. For `https`, Node's CAs and `NODE_EXTRA_CA_CERTS` are trusted.",
      ),
    sampleRatio: z
      .number({ error: shareError })
      .min(0, shareError)
      .max(1, shareError)
      .default(0.1)
      .describe(
        'Share of the traces that begin here. If the caller sends a trace context (`traceparent`), as kube-apiserver can, its sampling decision applies.',
      ),
  })
  .describe(
    'OpenTelemetry spans of reviews, authenticators, the cache and Redis. There are none by default.',
  );

const audit = z
  .strictObject({
    output: filledText
      .regex(
        /^(?!stderr$|syslog$|\w+:\/\/|.*%[A-Za-z])/,
        'must be stdout or the path of one file, without dates, which a log collector can read',
      )
      .transform((output) => (output === 'stdout' ? output : { file: output }))
      .describe(
        '`stdout`, or a file that each process has for itself. It is created with mode 0600, appended to, and reopened on SIGHUP. Its folder must exist.',
      ),
  })
  .describe('The audit trail: one JSON line for each decision. None is written by default.');

/**
 * The schema of a whole gateway.yaml: types, bounds, defaults and descriptions. Plugins check their options, and rules.ts checks what
 * values demand of each other.
 */
export const fileSchema = z.strictObject({
  server,
  admin: section('The address for probes.', {
    listen: listenKey(
      'Address for `/metrics`, `/livez` and `/readyz`, without TLS. Any client that reaches the port can read them. Must differ from `server.listen`.',
      8081,
    ),
    statusPage: booleanKey(
      'Serve the status page at `/`. It shows the names of users, files and backends to any client. Default: `true` if `admin.listen` is a loopback address, else `false`.',
    ).exactOptional(),
  }),
  authenticators: z
    .array(authenticator)
    .min(1)
    .describe('Called in this order; the first definitive answer decides.'),
  cache,
  lockout: section(
    'Keeps a directory from locking accounts, for plugins that send passwords to one.',
    {
      maxFailures: z
        .int()
        .superRefine((count, context) => {
          const params = {
            problem: 'must be at least 1: this guard is always on',
            fix: "write a number at least 2 below the directory's own limit, or 1000 if it locks no accounts",
          };
          if (count < 1) context.addIssue({ code: 'custom', params });
        })
        .meta({ minimum: 1 })
        .describe(
          "Wrong passwords per user in `window`. After that, only a password that was correct before is sent to the directory. Set it at least 2 below the directory's own limit.",
        )
        .default(3),
      window: duration(
        'How long a wrong password counts. In this time, the same wrong password is sent only once.',
      ).prefault('30m'),
    },
  ),
  login: loginSchema.exactOptional(),
  audit: audit.exactOptional(),
  provenance: provenance.exactOptional(),
  tracing: tracing.exactOptional(),
  check: section('What `sallyport check` reports.', {
    acknowledge: z
      .array(acknowledgement)
      .default([])
      .describe('Warnings that `check` counts and does not print. Errors are always printed.'),
  }),
  log: section('What is logged to standard error.', {
    level: choiceKey('Lowest level that is logged, on standard error.', [
      'trace',
      'debug',
      'info',
      'warn',
      'error',
      'silent',
    ]).default('info'),
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
  jsonSchema ??= z.toJSONSchema(fileSchema, { io: 'input', target: 'draft-2020-12' });
  return jsonSchema;
}

/** Made at its first use: it takes as long as the rest of a load, and each load needs it several times. */
let jsonSchema: JsonSchema | undefined;

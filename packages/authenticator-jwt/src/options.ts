import {
  choice,
  count,
  duration,
  flag,
  list,
  type ParseResult,
  parseText,
  path,
  section,
  size,
  text,
  value,
} from '@sallyport/plugin-kit';
import { z } from 'zod';

/**
 * All of these sign with a private key: with a symmetric one, whoever can check a token could make
 * one. RFC 7518 section 3.1, RFC 9864.
 */
export const algorithms = [
  ...['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'],
  ...['EdDSA', 'Ed25519'],
] as const;

/**
 * kube-apiserver accepts these: `AllowedSigningAlgs` in kubernetes/apiserver
 * plugin/pkg/authenticator/token/oidc/oidc.go.
 */
const kubernetesAlgorithms = algorithms.filter(
  (algorithm) => algorithm !== 'EdDSA' && algorithm !== 'Ed25519',
);

export type JwtOptions = z.output<typeof optionsSchema>;

/** The options of one issuer, after all checks. Times are in milliseconds. */
export type IssuerOptions = z.output<typeof entry>;

/** These limit when the keys of an issuer are read, and how big they may be. They are in milliseconds and bytes. */
export type KeyLimits = z.output<typeof limits>;

const example = 'https://idp.example.com';

/**
 * Reads a URL by the rules of `validateURL` in kubernetes/apiserver
 * pkg/apis/apiserver/validation/validation.go. Nothing is normalized.
 */
function httpsUrl(description: string): z.ZodType<string> {
  return value({ description, pattern: '^https://' }, (input): ParseResult<string> => {
    const parsed = parseText(input, example);
    if ('problem' in parsed) return parsed;
    const url = URL.parse(parsed.value);
    const fix = `write ${example}`;
    if (url?.protocol === 'http:') {
      const problem = 'uses clear text: anyone on the network path could let in any user';
      return { problem, fix: `write https, such as ${example}` };
    }
    if (url?.protocol !== 'https:') return { problem: 'must be a URL with https', fix };
    if (url.username || url.password)
      return { problem: 'must have no name or password in it', fix };
    // URL.parse drops them.
    if (/\s/.test(parsed.value)) {
      const trimmed = parsed.value.replaceAll(/\s/g, '');
      return { problem: 'contains spaces or line breaks', fix: `write ${trimmed}` };
    }
    if (/[?#]/.test(parsed.value)) return { problem: 'must have no query and no fragment', fix };
    return parsed;
  });
}

const wellKnown = '/.well-known/openid-configuration';

const issuerUrl = httpsUrl('The issuer: `iss` of its tokens, byte for byte.').superRefine(
  (url, context) => {
    if (!url.endsWith(wellKnown)) return;
    const problem = 'is the address of the discovery document, which names the issuer';
    const fix = `write ${url.slice(0, -wellKnown.length)}, as "issuer" in that document says`;
    context.addIssue({ code: 'custom', message: `${problem}: ${fix}`, params: { problem, fix } });
  },
);

/** `prefix` may be empty, as in Kubernetes. */
const prefix = z
  .string({ error: 'must be a string' })
  .default('')
  .describe("Added before the value; the authenticator's own prefixes come before it.");

const noCel = z
  .unknown()
  .optional()
  .refine((input) => input === undefined, {
    error: 'is not supported: CEL is not evaluated here: write claim: NAME in its place',
    params: {
      problem: 'is not supported: CEL is not evaluated here',
      fix: 'write claim: NAME in its place, with the name of a claim such as sub',
    },
  })
  .describe('CEL, as in kube-apiserver: not supported. Write claim.');

const claim = (sample: string) =>
  value(
    { description: 'The name of the claim, at the top of the token.', minLength: 1 },
    (input): ParseResult<string> => {
      const parsed = parseText(input, sample);
      if ('problem' in parsed) return parsed;
      if (/^claims[.[]|^\$\.|[()[\]{}'"?\s]/.test(parsed.value)) {
        const [, name = sample] = /^(?:claims|\$)\.(\w+)$/.exec(parsed.value) ?? [];
        const problem = 'is an expression, and CEL is not evaluated here';
        return { problem, fix: `write the name of one claim, such as ${name}` };
      }
      if (/^(realm|resource)_access\./.test(parsed.value)) {
        const problem = 'is inside another claim, and only claims at the top of the token are read';
        return {
          problem,
          fix: `let the issuer map it to a claim of its own, and write its name, such as ${sample}`,
        };
      }
      return parsed;
    },
  );

const describeMapping = (description: string, sample: string) =>
  section(
    { claim: claim(sample), prefix, expression: noCel },
    `{ claim: ${sample} }`,
    ({ claim: name, prefix: claimPrefix }) => ({ claim: name, prefix: claimPrefix }),
  ).describe(description);

/** A key has a domain, a slash and a path, in lowercase, by the rules of `validateExtraMapping` in the same file. */
const extraKey =
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+\/[-a-z0-9._~!$&'()*+,;=:@/%]+$/;

const extraEntry = section(
  {
    key: value(
      { description: 'A domain, a slash and a path, in lowercase.', pattern: extraKey.source },
      (input) => {
        const parsed = parseText(input, 'example.com/tenant');
        if ('problem' in parsed || extraKey.test(parsed.value)) return parsed;
        return {
          problem: 'must be a domain, a slash and a path, in lowercase',
          fix: 'write example.com/tenant',
        };
      },
    ),
    claim: claim('tenant'),
    valueExpression: noCel,
  },
  '{ key: example.com/tenant, claim: tenant }',
  ({ key, claim: name }) => ({ key, claim: name }),
);

const mappingsSchema = section(
  {
    username: describeMapping(
      "The user's name, a string. With `email`, `email_verified` must be true if the token has it.",
      'sub',
    ),
    groups: describeMapping('The groups: a string or a list of strings.', 'groups').optional(),
    uid: section(
      { claim: claim('sub'), expression: noCel },
      '{ claim: sub }',
      ({ claim: name }) => ({ claim: name }),
    )
      .optional()
      .describe('A string that stays the same when a person is renamed.'),
    extra: z
      .array(extraEntry, {
        error: 'must be a list: write [{ key: example.com/tenant, claim: tenant }]',
      })
      .prefault([])
      .describe('More about the user, each a string or a list of strings.'),
  },
  '{ username: { claim: sub } }',
  ({ username, groups, uid, extra }, complain) => {
    for (const [index, { key }] of extra.entries()) {
      if (extra.findIndex((mapping) => mapping.key === key) !== index)
        complain(['extra', index, 'key'], `"${key}" is there twice`);
    }
    return { username, groups, uid, extra };
  },
).describe('How claims become a user.');

const issuer = section(
  {
    url: issuerUrl,
    discoveryURL: httpsUrl(
      'Where its discovery document is, if not below url. The issuer in the document must still be url.',
    ).optional(),
    certificateAuthorityFile: path(
      "CA file for the issuer (PEM). Default: Node's CAs.",
      'tls/idp-ca.crt',
    ).optional(),
    jwksFile: path(
      "A file with the issuer's keys (a JWK set): nothing is fetched.",
      'keys/idp.json',
    ).optional(),
    audiences: list(
      { description: 'A token must be for one of them (`aud`).', example: '[kubernetes]' },
      { min: 1, max: 64 },
      (input) =>
        input === '*'
          ? { problem: 'is not a pattern: no token is for *', fix: 'write kubernetes' }
          : parseText(input, 'kubernetes'),
    ),
    audienceMatchPolicy: choice('MatchAny, as in Kubernetes: one audience is enough.', [
      'MatchAny',
    ]).optional(),
  },
  `{ url: ${example}, audiences: [kubernetes] }`,
  ({ audienceMatchPolicy: _, ...keys }, complain) => {
    for (const key of ['discoveryURL', 'certificateAuthorityFile'] as const) {
      if (keys.jwksFile !== undefined && keys[key] !== undefined) {
        complain([key], 'has no effect next to jwksFile', 'remove one of them');
      }
    }
    return keys;
  },
);

const limits = section(
  {
    refresh: duration('How often the keys are read.', { min: '10s', max: '24h' }).prefault('10m'),
    cooldown: duration('The minimum time between two attempts, even after a failed one.', {
      min: '1s',
      max: '1h',
    }).prefault('30s'),
    staleTtl: duration('How long keys are used after they were last read.', { min: '1m' }).prefault(
      '24h',
    ),
    timeout: duration('Time limit for one attempt.', { min: '100ms', max: '30s' }).prefault('5s'),
    maxSize: size('A larger document is refused.', { max: '4MiB' }).prefault('256KiB'),
    maxKeys: count('A document with more keys is refused.', 1, 10_000).default(100),
  },
  '{ refresh: 10m }',
  (keys, complain) => {
    if (keys.staleTtl <= keys.refresh)
      complain(['staleTtl'], 'must be longer than refresh', 'write 24h');
    return keys;
  },
);

function describeRequiredValue(input: unknown): string {
  const fix =
    typeof input === 'number'
      ? 'write it in quotes, with each digit that the claim has'
      : 'write one value, such as "example.com"';
  return `must be a string, true or false: ${fix}`;
}

const rule = section(
  {
    claim: claim('hd'),
    // kube-apiserver takes a string alone, and would need CEL for `email_verified`.
    requiredValue: z
      .union([z.string(), z.boolean()], { error: ({ input }) => describeRequiredValue(input) })
      .default('')
      .describe('The exact value of the claim: a string, true or false.'),
    expression: noCel,
    message: noCel,
  },
  '{ claim: hd, requiredValue: example.com }',
  ({ claim: name, requiredValue }) => ({ claim: name, requiredValue }),
);

const entry = section(
  {
    issuer: issuer.describe('Who signs the tokens, and for whom.'),
    claimValidationRules: z
      .array(rule, { error: 'must be a list: write [{ claim: hd, requiredValue: example.com }]' })
      .prefault([])
      .describe('Claims that a token must have.'),
    claimMappings: mappingsSchema,
    userValidationRules: noCel,
    apiAudiences: list(
      {
        description:
          "The API server's own audiences (--api-audiences) for which the tokens are valid as well. Default: none.",
        example: '[https://kubernetes.default.svc.cluster.local]',
      },
      { min: 0, max: 16 },
      (input) => parseText(input, 'https://kubernetes.default.svc.cluster.local'),
    ).prefault([]),
    algorithms: z
      .array(choice('A signature algorithm.', algorithms), {
        error: 'must be a list: write [RS256, ES256]',
      })
      .min(1, 'must not be empty: write [RS256, ES256]')
      .default([...kubernetesAlgorithms])
      .describe('The signature algorithms that are accepted.'),
    typ: text(
      'The `typ` that the header must have, such as at+jwt for access tokens. Default: any.',
      'at+jwt',
    ).optional(),
    clockTolerance: duration("How far the issuer's clock may differ from ours.", {
      min: '0',
      max: '2m',
    }).prefault('30s'),
    maxTokenAge: duration(
      'The maximum time since `iat`. If set, a token without `iat` is refused.',
      {
        max: '7d',
      },
    ).optional(),
    credentialId: flag(
      "Adds the token's ID (`jti`) to extra, for kube-apiserver's audit log. Needs allowCredentialId: true next to options.",
    ),
    jwks: limits.prefault({}).describe('How the keys of the issuer are read.'),
  },
  `{ issuer: { url: ${example}, audiences: [kubernetes] }, claimMappings: { username: { claim: sub } } }`,
  (keys) => {
    const {
      issuer: issuerKeys,
      claimValidationRules: rules,
      claimMappings: mappings,
      jwks,
      credentialId = false,
      ...otherKeys
    } = keys;
    const { url, audiences, jwksFile, discoveryURL, certificateAuthorityFile: caFile } = issuerKeys;
    const discoveryUrl = discoveryURL ?? url.replace(/\/$/, '') + wellKnown;
    const fetched = { discoveryUrl, caFile, limits: jwks };
    const source = jwksFile === undefined ? fetched : { file: jwksFile };
    return { ...otherKeys, url, audiences, rules, mappings, credentialId, keys: source };
  },
);

/**
 * Checks the `options` of an authenticator. The names are those of kube-apiserver's
 * AuthenticationConfiguration, `jwt`.
 */
export const optionsSchema = section(
  {
    issuers: z
      .array(entry, { error: 'must be a list: write [{ issuer: …, claimMappings: … }]' })
      .min(1, 'must not be empty: write [{ issuer: …, claimMappings: … }]')
      .max(64, 'must have at most 64 entries')
      .describe('The issuers whose tokens are accepted, each with its own rules.'),
  },
  '{ issuers: [{ issuer: …, claimMappings: … }] }',
  ({ issuers }, complain) => {
    for (const [index, { url }] of issuers.entries()) {
      const firstIndex = issuers.findIndex((candidate) => candidate.url === url);
      if (firstIndex !== index)
        complain(
          ['issuers', index, 'issuer', 'url'],
          `is the issuer of issuers[${firstIndex}] too`,
          'join them',
        );
    }
    return { issuers };
  },
);

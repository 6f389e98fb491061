import type { IdTokenIssuer } from '@sallyport/authenticator';
import { within } from '@sallyport/plugin-kit';
import { z } from 'zod';
import { callProvider } from './call-provider.ts';
import { ProviderError } from './provider-error.ts';

const maxAge = 600_000;
const cooldown = 5000;

/**
 * The algorithms that the plugin `jwt` can check. `none` and those with a shared secret are left out: a provider may list them,
 * and oauth4webapi accepts what is listed.
 */
const algorithms = [
  ...['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'],
  ...['EdDSA', 'Ed25519'],
];

const endpoint = z
  .string()
  .max(2048)
  .transform((text) => URL.parse(text))
  .refine((url) => url?.protocol === 'https:' && !url.username && !url.password && !url.hash)
  .transform((url) => String(url));

const documentSchema = z.object({
  issuer: z.string(),
  authorization_endpoint: endpoint,
  token_endpoint: endpoint,
  authorization_response_iss_parameter_supported: z.boolean().default(false),
  token_endpoint_auth_methods_supported: z.array(z.string()).catch(['client_secret_basic']),
  id_token_signing_alg_values_supported: z
    .array(z.string())
    .catch(algorithms)
    .transform((listed) => algorithms.filter((algorithm) => listed.includes(algorithm))),
  // What is not listed may be supported: Entra ID lists no method of PKCE.
  response_types_supported: z.array(z.string()).default(['code']).catch(['code']),
  code_challenge_methods_supported: z.array(z.string()).default(['S256']).catch(['S256']),
});

/** A DiscoveryDocument is what a provider says of itself: OpenID Connect Discovery 1.0 section 3. */
export type DiscoveryDocument = z.output<typeof documentSchema>;

interface DiscoveryOptions extends Pick<IdTokenIssuer, 'issuer' | 'discoveryUrl' | 'ca'> {
  readonly now: () => number;
  readonly onCall: (call: 'discovery', isOk: boolean) => void;
}

/**
 * Returns a function that returns the discovery document of a provider. The document is read at the first use, and again after 10
 * minutes. While the provider is down, the last one is used, which contains only addresses.
 */
export function createDiscovery(
  options: DiscoveryOptions,
): (signal: AbortSignal) => Promise<DiscoveryDocument> {
  const { now, onCall } = options;
  let last: { readonly document: DiscoveryDocument; readonly readAt: number } | undefined;
  let failure: { readonly error: unknown; readonly at: number } | undefined;
  let attempt: Promise<void> | undefined;

  /** Never rejects. It has no signal of a caller: another caller may wait for it. */
  async function readNow(): Promise<void> {
    try {
      last = { document: await readDocument(options), readAt: now() };
      failure = undefined;
    } catch (error) {
      failure = { error, at: now() };
    }
    attempt = undefined;
    onCall('discovery', failure === undefined);
  }

  return async (signal) => {
    const isFresh = last !== undefined && now() - last.readAt < maxAge;
    const mayRead = failure === undefined || now() - failure.at >= cooldown;
    if (!isFresh && (attempt !== undefined || mayRead)) {
      const aborted = () =>
        new ProviderError(
          'unavailable',
          `${options.discoveryUrl}: the login ended before the answer came`,
        );
      await within({ signal, aborted }, () => {
        attempt ??= readNow();
        return attempt;
      });
    }
    if (last === undefined) throw failure?.error;
    return last.document;
  };
}

/** Reads the discovery document of a provider. @throws ProviderError */
export async function readDocument({
  issuer,
  discoveryUrl,
  ca,
}: Pick<DiscoveryOptions, 'issuer' | 'discoveryUrl' | 'ca'>): Promise<DiscoveryDocument> {
  const call = { where: discoveryUrl, url: discoveryUrl, ca, statuses: [200] };
  const { document } = await callProvider(call);
  const fail = (reason: string, fix: string) =>
    new ProviderError('unavailable', `${discoveryUrl}: ${reason}`, fix);
  const { success, data, error } = documentSchema.safeParse(document);
  if (!success) {
    const [key = 'document'] = error.issues[0]?.path ?? [];
    throw fail(
      `its ${String(key)} is missing or not valid`,
      'an endpoint must be an https URL without a user and a fragment. Check that this is the discovery document of the provider',
    );
  }
  // oauth4webapi compares URLs, to which `https://a` and `https://a/` are the same.
  if (data.issuer !== issuer)
    throw fail('its issuer is another one', 'write the issuer byte for byte as it is there');
  return data;
}

import {
  AuthorizationResponseError,
  OperationProcessingError,
  RESPONSE_IS_NOT_CONFORM,
  ResponseBodyError,
  UnsupportedOperationError,
} from 'oauth4webapi';
import { ProviderError, type ProviderErrorKind } from './provider-error.ts';

const denied = { kind: 'denied' } as const;
const readLog = "look for the reason in the provider's log";
const outage = { kind: 'unavailable', fix: readLog } as const;
const failed = (fix = readLog) => ({ kind: 'failed', fix }) as const;
const register = 'register redirectUri as a redirect URI of this client at the provider';
const checkClient =
  'check clientId and clientSecret, and that this client may use client_secret_basic at the provider';
const allow = 'allow the authorization code flow for this client at the provider';

/**
 * The codes of RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core 1.0 section 3.1.2.6, and RFC 8707 section 2. A message
 * quotes no other code: the writer of an answer's URL could put anything into the log.
 */
const refusals = new Map<string, { readonly kind: ProviderErrorKind; readonly fix?: string }>([
  ['access_denied', denied],
  ['login_required', denied],
  ['consent_required', denied],
  ['interaction_required', denied],
  ['account_selection_required', denied],
  ['server_error', outage],
  ['temporarily_unavailable', outage],
  ['invalid_client', failed(checkClient)],
  ['invalid_grant', failed(`the code is used or has expired: log in again, or ${register}`)],
  ['invalid_request', failed(`${register}, or ${readLog}`)],
  ['invalid_scope', failed('check scopes')],
  ['unauthorized_client', failed(allow)],
  ['unsupported_response_type', failed(allow)],
  ['unsupported_grant_type', failed(allow)],
  ['invalid_target', failed()],
  ['invalid_request_uri', failed()],
  ['invalid_request_object', failed()],
  ['request_not_supported', failed()],
  ['request_uri_not_supported', failed()],
  ['registration_not_supported', failed()],
]);

/** How to fix what a message of oauth4webapi says. */
const fixes: readonly (readonly [RegExp, string])[] = [
  [/"id_token"/, 'allow the scope openid for this client at the provider'],
  [
    /"alg"|JWE/,
    'let the provider sign the ID tokens of this client with RS256 or ES256, unencrypted',
  ],
  [/"(aud|azp)"/, 'check clientId'],
  [/"(exp|nbf)"/, 'check the clocks of the provider and of this machine'],
  [/^"response"/, readLog],
];

/**
 * Makes a ProviderError of whatever oauth4webapi throws. Messages of its own errors name parameters and claims, and quote no
 * values. Other errors might quote them.
 *
 * @param where names what answered
 */
export function toProviderError(error: unknown, where: string, redirectUri: string): ProviderError {
  if (error instanceof ProviderError) return error;
  if (error instanceof AuthorizationResponseError || error instanceof ResponseBodyError) {
    const refusal = refusals.get(error.error);
    if (refusal === undefined)
      return new ProviderError('failed', `${where}: an error with an unknown code`, readLog);
    const fix = refusal.fix?.replace('redirectUri', redirectUri);
    // Anyone can bring such an answer, and an outage that no one has must not wake an operator.
    const isBrought = error instanceof AuthorizationResponseError && refusal.kind === 'unavailable';
    const kind = isBrought ? 'failed' : refusal.kind;
    return new ProviderError(kind, `${where}: the error ${error.error}`, fix);
  }
  if (error instanceof OperationProcessingError || error instanceof UnsupportedOperationError) {
    if (error.code === RESPONSE_IS_NOT_CONFORM)
      return new ProviderError('unavailable', `${where}: an error without a code`, readLog);
    const [, fix = 'log in again'] = fixes.find(([pattern]) => pattern.test(error.message)) ?? [];
    return new ProviderError('failed', `${where}: ${error.message}`, fix);
  }
  return new ProviderError('failed', `${where}: a malformed answer`, readLog);
}

import { shortenId } from '../chain/decision.ts';

/** What a block of a credential ID names. */
export interface CredentialSubject {
  /** As in an entry of the revocation list. */
  readonly kind: 'token' | 'jti' | 'sid' | 'credential';
  readonly name: string;
}

/** The IDs that name what a block can name in another way, too, so that both ways are one block. */
const schemes = { SALLYPORT: 'token', JTI: 'jti', SID: 'sid' } as const;

type Scheme = keyof typeof schemes;

/**
 * Reads a value of the `extra` key `authentication.kubernetes.io/credential-id`. kube-apiserver 1.32 and later writes `JTI=ID` for
 * a service account token (`CredentialIDForJTI` in kubernetes/apiserver pkg/authentication/serviceaccount/util.go) and
 * `X509SHA256=DIGEST` for a client certificate (pkg/authentication/request/x509/x509.go). This gateway writes `SALLYPORT=DIGEST` with the
 * SHA-256 of a session or an issued token, and `JTI=ID` and `SID=ID` of a JWT.
 *
 * @returns what a block of it names. An ID of another scheme is a credential by its whole text
 */
export function readCredentialId(text: string): CredentialSubject {
  const separator = text.indexOf('=');
  const scheme = text.slice(0, separator);
  const value = text.slice(separator + 1);
  if (separator > 0 && value !== '' && isScheme(scheme))
    return { kind: schemes[scheme], name: shortenId(value) };
  return { kind: 'credential', name: shortenId(text) };
}

function isScheme(text: string): text is Scheme {
  return Object.hasOwn(schemes, text);
}

/** Writes a credential ID, as {@link readCredentialId} reads it. */
export function writeCredentialId(scheme: Scheme, value: string): string {
  return `${scheme}=${value}`;
}

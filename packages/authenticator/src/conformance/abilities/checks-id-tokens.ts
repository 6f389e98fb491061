import { X509Certificate } from 'node:crypto';
import type { Authenticator, IdTokenIssuer } from '../../authenticator.ts';
import { authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import { catchOutcome, fail, verify } from '../verify.ts';

/** Lists the issuers. A promise of them fails here, since it can't be iterated. */
async function listIssuers(
  kit: Kit,
  authenticator: Authenticator,
): Promise<readonly IdTokenIssuer[]> {
  const listed = await catchOutcome(() => [...(authenticator.idTokenIssuers?.() ?? [])]);
  if ('value' in listed) return listed.value;
  return fail({
    expected: 'idTokenIssuers() to list issuers without waiting',
    actual: `listing them threw ${kit.show(listed.error)}`,
    rationale:
      'The gateway asks while it reads the config, and would not start. List no issuer if there is none.',
  });
}

const isHttps = (text: unknown): boolean => {
  const url = typeof text === 'string' ? URL.parse(text) : null;
  return url?.protocol === 'https:' && url.username === '' && url.password === '';
};

const isName = (text: unknown): boolean => typeof text === 'string' && text !== '';

function describeIssuerProblem({ issuer, discoveryUrl, audiences, ca }: IdTokenIssuer) {
  if (!isHttps(issuer)) return 'issuer is not an https URL without a name and a password';
  if (!isHttps(discoveryUrl))
    return 'discoveryUrl is not an https URL without a name and a password';
  const isList = Array.isArray(audiences) && audiences.length > 0 && audiences.every(isName);
  if (!isList) return 'audiences is not a list of one or more strings that are not empty';
  return typeof ca === 'function' ? undefined : 'ca is not a function';
}

/** Reads the first certificate, as a TLS client would. */
function isPem(text: unknown): boolean {
  try {
    return new X509Certificate(text as string | Buffer).subject !== undefined;
  } catch {
    return false;
  }
}

export const checksIdTokensCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'idTokenIssuers() lists each issuer once, with https URLs and its audiences, the same ones each time',
    async (kit, authenticator) => {
      const listed = await listIssuers(kit, authenticator);
      for (const issuer of listed) {
        const problem = describeIssuerProblem(Object(issuer));
        verify(problem === undefined, {
          expected: 'idTokenIssuers() to list issuers that a client of OpenID Connect can use',
          actual: `${problem} in ${kit.show(issuer)}`,
          rationale: 'No one could log in there, or their browser would be sent there without TLS.',
        });
      }
      const names = listed.map(({ issuer }) => issuer);
      const relisted = await listIssuers(kit, authenticator);
      verify(
        new Set(names).size === names.length && JSON.stringify(relisted) === JSON.stringify(listed),
        {
          expected: 'idTokenIssuers() to list the same issuers each time, each of them once',
          actual: `it listed ${kit.show(names)}, and then ${kit.show(relisted.map(({ issuer }) => issuer))}`,
          rationale:
            'A provider of the config names one issuer, which must be the same after each reload.',
        },
      );
      kit.mustBeSilent('what idTokenIssuers() lists', listed);
    },
  ),
  authenticatorCase(
    'ca() of each issuer returns PEM or nothing, without waiting',
    async (kit, authenticator) => {
      for (const { issuer, ca } of await listIssuers(kit, authenticator)) {
        // In a list, a promise is not waited for.
        const returned = await catchOutcome(() => [ca()]);
        const [pem] = 'value' in returned ? returned.value : [];
        verify('value' in returned && (pem === undefined || isPem(pem)), {
          expected: `ca() of ${issuer} to return certificates in PEM, or undefined for the CAs of Node`,
          actual:
            'error' in returned
              ? `it threw ${kit.show(returned.error)}`
              : 'it returned something else',
          rationale:
            'Each request to the issuer needs them now: it would fail, or trust other CAs.',
        });
        kit.mustBeSilent(`what ca() of ${issuer} returns`, String(pem));
      }
    },
  ),
];

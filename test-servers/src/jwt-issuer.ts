import { generateKeyPairSync, sign } from 'node:crypto';
import { secret } from './tokens.ts';

/** An issuer of JWTs whose keys are in a file. */
export interface JwtIssuer {
  readonly url: string;
  /** The files next to the config. */
  readonly files: Readonly<Record<string, string>>;
  /** An authenticator of the config: names have the prefix `oidc:`. */
  authenticator(changed?: object, ofIssuer?: object): object;
  /** Signs a token for `kubernetes`, valid for a minute unless the claims say otherwise. It is a secret of the test file. */
  token(claims: object): string;
}

/** Creates an issuer with a new key, whose id is the same for all issuers. */
export function createJwtIssuer(
  url: string = 'https://idp.example.com',
  jwksFile: string = 'keys.json',
): JwtIssuer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' }];
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    url,
    files: { [jwksFile]: JSON.stringify({ keys }) },
    authenticator(changed, ofIssuer) {
      const issuer = {
        issuer: { url, audiences: ['kubernetes'], jwksFile },
        claimMappings: { username: { claim: 'sub' }, groups: { claim: 'groups' } },
        ...ofIssuer,
      };
      const names = { username: { prefix: 'oidc:' }, groups: { prefix: 'oidc:' } };
      return { name: 'oidc', use: 'jwt', ...names, options: { issuers: [issuer] }, ...changed };
    },
    token(claims) {
      const exp = Math.floor(Date.now() / 1000) + 60;
      const input = `${part({ alg: 'ES256', kid: 'one' })}.${part({ iss: url, aud: 'kubernetes', exp, ...claims })}`;
      const signature = sign('sha256', Buffer.from(input), {
        key: privateKey,
        dsaEncoding: 'ieee-p1363',
      });
      return secret(`${input}.${signature.toString('base64url')}`);
    },
  };
}

import { randomBytes } from 'node:crypto';

/** Like a JWT signed with RS256 (RFC 7519), with random bytes as its signature. */
export function newJwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const header = { alg: 'RS256', kid: randomBytes(32).toString('base64url') };
  return [part(header), part(claims), randomBytes(256).toString('base64url')].join('.');
}

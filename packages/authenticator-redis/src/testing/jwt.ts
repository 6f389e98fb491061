import { randomBytes, randomUUID } from 'node:crypto';

/** Like a JWT signed with RS256 (RFC 7519), with random bytes as its signature. */
function newJwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const header = { alg: 'RS256', kid: randomBytes(32).toString('base64url') };
  return [part(header), part(claims), randomBytes(256).toString('base64url')].join('.');
}

const lifetime = { iat: 1_700_000_000, nbf: 1_700_000_000, exp: 1_900_000_000 };

/** Like the tokens of kube-apiserver for pods (https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/). */
export function newServiceAccountToken(): string {
  return newJwt({
    ...lifetime,
    aud: ['https://kubernetes.default.svc.cluster.local'],
    iss: 'https://kubernetes.default.svc.cluster.local',
    jti: randomUUID(),
    'kubernetes.io': {
      namespace: 'default',
      node: { name: 'node-a', uid: randomUUID() },
      pod: { name: 'web-7d4b9c6f5-x2x9q', uid: randomUUID() },
      serviceaccount: { name: 'default', uid: randomUUID() },
    },
    sub: 'system:serviceaccount:default:default',
  });
}

/** Like the tokens of an OpenID Connect provider for people. */
export function newIdToken(): string {
  return newJwt({
    ...lifetime,
    iss: 'https://login.example.com',
    aud: 'kubernetes',
    sub: randomUUID(),
    email: 'jane@example.com',
    email_verified: true,
    groups: ['developers', 'operators'],
  });
}

import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { startGateway } from './testing/gateway.ts';

const issuer = 'https://idp.example.com';
const apiServer = 'https://kubernetes.default.svc.cluster.local';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function newToken(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 60;
  const input = `${part({ alg: 'ES256', kid: 'one' })}.${part({ iss: issuer, aud: 'kubernetes', exp, ...claims })}`;
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

test('a JWT lets a user in with the names, audiences and credential id that the config says', async () => {
  const options = {
    issuers: [
      {
        issuer: { url: issuer, audiences: ['kubernetes'], jwksFile: 'keys.json' },
        claimMappings: { username: { claim: 'sub' }, groups: { claim: 'groups' } },
        apiAudiences: [apiServer],
        credentialId: true,
      },
    ],
  };
  const authenticator = {
    name: 'oidc',
    use: 'jwt',
    username: { prefix: 'oidc:' },
    groups: { prefix: 'oidc:' },
    allowCredentialId: true,
    options,
  };
  const keys = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' }] });
  await using gateway = await startGateway({
    config: { authenticators: [authenticator] },
    files: { 'keys.json': keys },
  });
  using client = http1Client(gateway.url);
  const ask = (claims: object, audiences = [apiServer]) => review(client, newToken(claims), 'v1', audiences);
  const user = {
    username: 'oidc:jane',
    groups: ['oidc:dev'],
    extra: { 'authentication.kubernetes.io/credential-id': ['JTI=7'] },
  };
  const jane = { sub: 'jane', groups: ['dev'], jti: '7' };
  expect(await ask(jane)).toEqual({ authenticated: true, user, audiences: [apiServer] });
  expect(await ask(jane, ['kubernetes'])).toEqual({ authenticated: true, user, audiences: ['kubernetes'] });
  expect(await ask(jane, ['vault'])).toEqual({ authenticated: false });
  expect(await ask({ ...jane, exp: 1 })).toEqual({ authenticated: false });
  expect(await ask({ ...jane, iss: 'https://else.example.com' })).toEqual({ authenticated: false });
  await gateway.stop();
  const outcomes = gateway.output.lines.filter(({ msg }) => msg === 'token review').map(({ outcome }) => outcome);
  expect(outcomes).toEqual(['authenticated', 'authenticated', 'rejected', 'rejected', 'unknown']);
});

import { expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { startGateway } from './testing/gateway.ts';
import { createJwtIssuer } from './testing/jwt-issuer.ts';

const apiServer = 'https://kubernetes.default.svc.cluster.local';

test('a JWT lets a user in with the names, audiences and credential id that the config says', async () => {
  const issuer = createJwtIssuer();
  const ofIssuer = { apiAudiences: [apiServer], credentialId: true };
  await using gateway = await startGateway({
    config: { authenticators: [issuer.authenticator({ allowCredentialId: true }, ofIssuer)] },
    files: issuer.files,
  });
  using client = http1Client(gateway.url);
  const ask = (claims: object, audiences = [apiServer]) => review(client, issuer.token(claims), 'v1', audiences);
  const user = {
    username: 'oidc:jane',
    groups: ['oidc:dev'],
    extra: { 'authentication.kubernetes.io/credential-id': ['JTI=7'] },
  };
  const jane = { sub: 'jane', groups: ['dev'], jti: '7', sid: 's' };
  expect(await ask(jane)).toEqual({ authenticated: true, user, audiences: [apiServer] });
  expect(await ask(jane, ['kubernetes'])).toEqual({ authenticated: true, user, audiences: ['kubernetes'] });
  expect(await ask(jane, ['vault'])).toEqual({ authenticated: false });
  expect(await ask({ ...jane, exp: 1 })).toEqual({ authenticated: false });
  expect(await ask({ ...jane, iss: 'https://else.example.com' })).toEqual({ authenticated: false });
  await gateway.stop();
  const outcomes = gateway.output.lines.filter(({ msg }) => msg === 'token review').map(({ outcome }) => outcome);
  expect(outcomes).toEqual(['authenticated', 'authenticated', 'rejected', 'rejected', 'unknown']);
});

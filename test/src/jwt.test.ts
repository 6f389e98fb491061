import { createJwtIssuer, type JwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { http1Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { blocksOf } from './testing/documents.ts';
import { startGateway } from './testing/gateway.ts';

const apiServer = 'https://kubernetes.default.svc.cluster.local';

test('a JWT lets a user in with the names, audiences and credential id that the config says', async () => {
  const issuer = createJwtIssuer();
  const ofIssuer = { apiAudiences: [apiServer], credentialId: true };
  await using gateway = await startGateway({
    config: { authenticators: [issuer.authenticator({ allowCredentialId: true }, ofIssuer)] },
    files: issuer.files,
  });
  using client = http1Client(gateway.url);
  const ask = (claims: object, audiences = [apiServer]) =>
    review(client, issuer.token(claims), 'v1', audiences);
  const user = {
    username: 'oidc:jane',
    groups: ['oidc:dev'],
    extra: { 'authentication.kubernetes.io/credential-id': ['JTI=7'] },
  };
  const jane = { sub: 'jane', groups: ['dev'], jti: '7', sid: 's' };
  expect(await ask(jane)).toEqual({ authenticated: true, user, audiences: [apiServer] });
  expect(await ask(jane, ['kubernetes'])).toEqual({
    authenticated: true,
    user,
    audiences: ['kubernetes'],
  });
  expect(await ask(jane, ['vault'])).toEqual({ authenticated: false });
  expect(await ask({ ...jane, exp: 1 })).toEqual({ authenticated: false });
  expect(await ask({ ...jane, iss: 'https://else.example.com' })).toEqual({ authenticated: false });
  const [header, claims] = issuer.token({ ...jane, exp: 1 }).split('.');
  const forged = secret([header, claims, randomToken()].join('.'));
  expect(await review(client, forged, 'v1', [apiServer])).toEqual({ authenticated: false });
  await gateway.stop();
  const reviews = gateway.output.lines.filter(({ msg }) => msg === 'token review');
  // Only the user of a valid signature is named.
  expect(
    reviews.map(({ outcome, reason, username, subject }) => [outcome, reason, username, subject]),
  ).toEqual([
    ['authenticated', undefined, 'oidc:jane', undefined],
    ['authenticated', undefined, 'oidc:jane', undefined],
    ['rejected', 'audience-mismatch', undefined, 'jane'],
    ['rejected', 'expired', undefined, 'jane'],
    ['unknown', undefined, undefined, undefined],
    ['rejected', 'expired', undefined, undefined],
  ]);
  expect(reviews[2]).toMatchObject({ askedFor: ['vault'], validFor: ['kubernetes', apiServer] });
});

test('a token whose key was removed is refused, however long its answer is cached', async () => {
  const [old, renewed] = [createJwtIssuer(), createJwtIssuer()];
  const cache = { authenticatedTtl: '10m', rejectedTtl: '10m' };
  await using gateway = await startGateway({
    config: { authenticators: [old.authenticator({ cache })] },
    files: old.files,
  });
  using client = http1Client(gateway.url);
  const tokens = [old.token({ sub: 'jane' }), renewed.token({ sub: 'ann' })];
  const users = () =>
    Promise.all(
      tokens.map(
        async (token) => (await review(client, token, 'v1', ['kubernetes'])).user?.username,
      ),
    );
  expect(await users()).toEqual(['oidc:jane', undefined]);
  const from = gateway.output.lines.length;
  await gateway.write('keys.json', String(renewed.files['keys.json']));
  await gateway.waitForLog('file reloaded', from);
  expect(await users()).toEqual([undefined, 'oidc:ann']);
});

test('a token of one issuer is never one of another with the same key ID, while keys rotate and the config is reloaded', async () => {
  const newIssuer = (name: string) =>
    createJwtIssuer(`https://${name}.example.com`, `${name}.json`);
  const issuerOptions = ({ url }: JwtIssuer, name: string) => ({
    issuer: { url, audiences: ['kubernetes'], jwksFile: `${name}.json` },
    claimMappings: { username: { claim: 'sub', prefix: `${name}:` } },
  });
  let [east, west] = [newIssuer('east'), newIssuer('west')];
  const issuers = [issuerOptions(east, 'east'), issuerOptions(west, 'west')];
  await using gateway = await startGateway({
    config: {
      authenticators: [
        { name: 'oidc', use: 'jwt', cache: { authenticatedTtl: '10m' }, options: { issuers } },
      ],
    },
    files: { ...east.files, ...west.files },
  });
  using client = http1Client(gateway.url);
  const ask = async (token: string) =>
    (await review(client, token, 'v1', ['kubernetes'])).user?.username;
  const askAll = () => {
    const [own, foreign] = [{ sub: 'jane' }, { sub: 'mallory' }];
    const [iss, other] = [{ iss: west.url }, { iss: east.url }];
    return Promise.all([
      ask(east.token(own)),
      ask(west.token(own)),
      ask(east.token({ ...foreign, ...iss })),
      ask(west.token({ ...foreign, ...other })),
    ]);
  };
  for (let rotation = 0; rotation < 5; rotation += 1) {
    expect(await askAll()).toEqual(['east:jane', 'west:jane', undefined, undefined]);
    const before = [east.token({ sub: 'jane' }), west.token({ sub: 'jane' })];
    expect(await Promise.all(before.map(ask))).toEqual(['east:jane', 'west:jane']);
    [east, west] = [newIssuer('east'), newIssuer('west')];
    for (const [name, keys] of Object.entries({ ...east.files, ...west.files }))
      await gateway.write(name, keys);
    let isReloaded = false;
    const reload = gateway.reload().then(() => {
      isReloaded = true;
    });
    do {
      const [ofEast = 'east:jane', ofWest = 'west:jane', ...crossed] = await askAll();
      expect([ofEast, ofWest, ...crossed]).toEqual([
        'east:jane',
        'west:jane',
        undefined,
        undefined,
      ]);
    } while (!isReloaded);
    await reload;
    expect(await Promise.all(before.map(ask))).toEqual([undefined, undefined]);
  }
});

test('the first example of the README lets a user in as it is, and check finds an audience for its tokens', async () => {
  const issuer = createJwtIssuer();
  const [example] = await blocksOf('packages/authenticator-jwt/README.md');
  // The keys are in a file, since the issuer does not exist.
  const text =
    example?.text.replace(`url: ${issuer.url}\n`, '$&            jwksFile: keys.json\n') ?? '';
  await using gateway = await startGateway({ config: parse(text), files: issuer.files });
  using client = http1Client(gateway.url);
  const token = issuer.token({ sub: 'jane', groups: ['dev'] });
  const user = { username: 'oidc:jane', groups: ['oidc:dev'] };
  for (const audiences of [[apiServer], []]) {
    expect(await review(client, token, 'v1', audiences)).toEqual({
      authenticated: true,
      user,
      audiences: [apiServer],
    });
  }
  const problems = async (config: Record<string, unknown>) => {
    const cwd = await configFolder(config, issuer.files);
    const { stdout } = await runCommand(['check', '--config', 'gateway.yaml', '-o', 'json'], {
      cwd,
    });
    const findings: { check: string; result: string; detail: string }[] =
      JSON.parse(stdout).findings;
    return findings.flatMap(({ check, result, detail }) =>
      result === 'ok' || !check.startsWith('authenticator') ? [] : [`${result} ${detail}`],
    );
  };
  expect(await problems(parse(text))).toEqual([]);
  const without = (line: string) => parse(text.replace(new RegExp(`^ *${line}: .*$`, 'm'), ''));
  const only = (audiences: string) =>
    `the tokens of issuer ${issuer.url} are valid only for the audiences ${audiences}: `;
  expect(await problems(without('  {9}apiAudiences'))).toEqual([
    expect.stringMatching(
      new RegExp(`^warning .*${only('kubernetes')}the API server refuses each of them`),
    ),
  ]);
  expect(await problems({ ...parse(text), server: {} })).toEqual([
    expect.stringMatching(
      /^warning .*server\.apiAudiences is empty: write the --api-audiences of kube-apiserver/,
    ),
  ]);
});

test('the configs for GitHub Actions, GitLab CI and SPIFFE let in the protected refs of one owner only', async () => {
  const issuer = createJwtIssuer();
  const blocks = await blocksOf('docs/workload-tokens.md');
  const configs = blocks.filter(({ text }) => text.startsWith('# gateway.yaml'));
  const whole = parse(configs[0]?.text ?? '');
  whole.authenticators = configs.flatMap(({ text }) => parse(text).authenticators);
  // The keys are in a file, since the issuers can't be reached.
  for (const { options } of whole.authenticators) options.issuers[0].issuer.jwksFile = 'keys.json';
  await using gateway = await startGateway({ config: whole, files: issuer.files });
  using client = http1Client(gateway.url);
  const ask = async (claims: object) => {
    const token = issuer.token({ aud: 'sallyport', ...claims });
    const { user } = await review(client, token, 'v1', [apiServer]);
    return user && [user.username, ...(user.groups ?? [])];
  };

  const github = {
    iss: 'https://token.actions.githubusercontent.com',
    sub: 'repo:acme@123456/shop@456789:ref:refs/heads/main',
    repository: 'acme/shop',
    repository_owner_id: '123456',
    ref_protected: 'true',
  };
  expect(await ask(github)).toEqual([
    'github:repo:acme@123456/shop@456789:ref:refs/heads/main',
    'github:acme/shop',
  ]);
  const olderSub = 'repo:acme/shop:ref:refs/heads/main';
  expect(await ask({ ...github, sub: olderSub })).toEqual([
    `github:${olderSub}`,
    'github:acme/shop',
  ]);
  for (const other of [{ repository_owner_id: '7' }, { ref_protected: 'false' }, { aud: 'x' }])
    expect(await ask({ ...github, ...other })).toBeUndefined();

  const gitlab = {
    iss: 'https://gitlab.com',
    sub: 'project_path:acme/shop:ref_type:branch:ref:main',
    project_path: 'acme/shop',
    namespace_id: '72',
    ref_protected: 'true',
  };
  expect(await ask(gitlab)).toEqual([`gitlab:${gitlab.sub}`, 'gitlab:acme/shop']);
  for (const other of [{ namespace_id: '73' }, { ref_protected: 'false' }])
    expect(await ask({ ...gitlab, ...other })).toBeUndefined();

  const sub = 'spiffe://example.com/ns/shop/sa/deploy';
  expect(await ask({ iss: 'https://spire.example.com', sub })).toEqual([sub]);
});

import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Client, http1Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { type Config, type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls } from './testing/mutual-tls.ts';
import { reviewBody } from './testing/token-review.ts';

const apiServer = 'https://kubernetes.default.svc.cluster.local';

/** Makes a token. Its prefix decides which gateway is asked. */
const newToken = (prefix = 'far') => secret(`${prefix}_${randomToken()}`);

/** Makes an authenticator that forwards to the URL. */
const forwarding = (url: string, options: object = {}, more: object = {}) => ({
  name: 'far',
  use: 'webhook',
  ...more,
  options: { url: `${url}/authenticate`, recognizes: { prefixes: ['far_'] }, ...options },
});

const clientOf = (gateway: Gateway): Client => {
  const client = http1Client(gateway.url);
  onTestFinished(() => client[Symbol.dispose]());
  return client;
};

/** Finds the outcomes of the reviews of a gateway. `from` is a number of log lines. */
const outcomesOf = ({ output }: Gateway, from = 0) =>
  output.lines.slice(from).flatMap(({ msg, outcome }) => (msg === 'token review' ? [outcome] : []));

async function reconfigure(gateway: Gateway, config: Config): Promise<void> {
  const from = gateway.output.lines.length;
  await gateway.configure(config);
  await gateway.waitForLog('config reloaded', from);
}

test('a gateway asks another one over mutual TLS, and only about the tokens of that one', async () => {
  const mutual = await createMutualTls();
  const { certificate, key } = await mutual.clientAuthority.issueClient('front');
  const [jane, near] = [newToken(), randomToken()];
  await using far = await startGateway({
    config: {
      authenticators: [{ ...staticAuthenticator, username: { prefix: 'b:' } }],
      server: { tls: { ...mutual.tls, clientNames: ['front'] } },
    },
    files: {
      ...mutual.files,
      'tokens.yaml': tokensFile({ [jane]: 'jane', [near]: 'of-the-far-one' }),
    },
  });
  const files = { caFile: 'tls/far-ca.crt', certFile: 'tls/front.crt', keyFile: 'tls/front.key' };
  // A gateway answers 403 to a client with another name, and never because of a token.
  const tls = { ...files, onUnauthorized: 'unavailable' };
  await using front = await startGateway({
    config: {
      authenticators: [
        forwarding(far.url, tls, { username: { prefix: 'a:' } }),
        { ...staticAuthenticator, options: { tokensFile: 'tokens.yaml' } },
      ],
    },
    files: {
      'tls/far-ca.crt': mutual.serverAuthority.certificate,
      'tls/front.crt': certificate,
      'tls/front.key': key,
      'tokens.yaml': tokensFile({ [near]: 'near' }),
    },
  });
  const client = clientOf(front);
  const ask = (token: string, version: 'v1' | 'v1beta1' = 'v1') =>
    review(client, token, version, [apiServer]);
  expect(await ask(jane)).toEqual({ authenticated: true, user: { username: 'a:b:jane' } });
  expect(await ask(jane, 'v1beta1')).toEqual({
    authenticated: true,
    user: { username: 'a:b:jane' },
  });
  expect(await ask(near)).toEqual({ authenticated: true, user: { username: 'near' } });
  expect(await ask(newToken())).toEqual({ authenticated: false });
  // The second answer about jane came from the cache of the first gateway.
  await expect.poll(() => outcomesOf(far)).toEqual(['authenticated', 'unknown']);

  const env = { SALLYPORT_CONFIG: `${front.folder}/gateway.yaml` };
  const explained = await runCommand(['explain'], { cwd: front.folder, env }, jane);
  expect(explained).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('it answers authenticated: true'),
  });
  const checked = await runCommand(['check'], { cwd: front.folder, env });
  expect([checked.code, checked.stdout + checked.stderr]).toEqual([
    0,
    expect.stringContaining('far'),
  ]);

  const unavailable = { authenticated: false, error: 'authenticator far unavailable' };
  const another = await mutual.clientAuthority.issueClient('another');
  await expect.poll(() => outcomesOf(far)).toHaveLength(4);
  const seen = front.output.lines.length;
  await front.write('tls/front.crt', another.certificate);
  await front.write('tls/front.key', another.key);
  // The line is logged once, when the second of the two files is there.
  await front.waitForLog('TLS file loaded, for new connections', seen);
  expect(await ask(newToken())).toEqual(unavailable);
  expect(outcomesOf(far)).toHaveLength(4);

  await far.stop();
  expect(await ask(newToken())).toEqual(unavailable);
  // A user who was accepted before stays in.
  expect(await ask(jane)).toMatchObject({ authenticated: true });
  const reasons = front.output.lines.flatMap(({ msg, reason }) =>
    /could not check/.test(String(msg)) ? [reason] : [],
  );
  expect(reasons).toEqual(
    expect.arrayContaining([
      expect.stringContaining('it answers with the status 403'),
      expect.stringContaining('the connection was refused: is it running'),
    ]),
  );
});

describe('a gateway that asks another one', () => {
  const keyPrefix = 'sallyport.example.com';
  const provenance = { keyPrefix };
  const [jane, dropped, unchecked, hopping] = [
    newToken(),
    newToken('drop'),
    newToken('down'),
    newToken('drop'),
  ];
  const known = { [jane]: 'jane', [dropped]: 'jane', [hopping]: 'hopping' };
  const broken = {
    name: 'broken',
    use: 'webhook',
    options: { url: 'http://127.0.0.1:1', recognizes: { prefixes: ['down_'] } },
  };
  const resources = new AsyncDisposableStack();
  const farConfig = { authenticators: [broken, staticAuthenticator], provenance };
  let far: Gateway;
  let front: Gateway;
  let frontConfig: Config;

  beforeAll(async () => {
    far = resources.use(
      await startGateway({
        config: farConfig,
        files: { 'tokens.yaml': tokensFile(known) },
      }),
    );
    const others = ['drop', 'down'].map((name) =>
      forwarding(
        far.url,
        { recognizes: { prefixes: [`${name}_`] }, extra: { drop: [`${keyPrefix}/*`] } },
        { name },
      ),
    );
    const authenticators = [forwarding(far.url), ...others];
    frontConfig = { authenticators, provenance };
    front = resources.use(await startGateway({ config: frontConfig }));
  });
  afterAll(() => resources.disposeAsync());

  test('lets in users of one with the same provenance.keyPrefix once its keys are dropped', async () => {
    const client = clientOf(front);
    expect(await review(client, jane)).toEqual({ authenticated: false });
    const extra = {
      [`${keyPrefix}/authenticator`]: ['drop'],
      [`${keyPrefix}/credential`]: [expect.any(String)],
    };
    expect(await review(client, dropped)).toEqual({
      authenticated: true,
      user: { username: 'jane', extra },
    });
  });

  test('takes a token that the other could not check for no refusal, and asks again', async () => {
    const client = clientOf(front);
    expect(await review(client, unchecked)).toEqual({
      authenticated: false,
      error: 'authenticator down unavailable',
    });
    const env = { SALLYPORT_CONFIG: `${front.folder}/gateway.yaml` };
    const checked = await runCommand(['check'], { cwd: front.folder, env });
    expect([checked.code, checked.stdout]).toEqual([
      0,
      expect.stringContaining('reports an error for a made-up token'),
    ]);
    const from = far.output.lines.length;
    await far.write('tokens.yaml', tokensFile({ ...known, [unchecked]: 'joe' }));
    await far.waitForLog('static tokens loaded', from);
    expect(await review(client, unchecked)).toMatchObject({
      authenticated: true,
      user: { username: 'joe' },
    });
  });

  test('forwards no review that says it was forwarded too often, or that does not say it in digits', async () => {
    const client = clientOf(front);
    const reviewsOfIt = () =>
      far.output.lines.filter(({ username }) => username === 'hopping').length;
    for (const hops of ['3', '4', '-1', 'x', '1, 2', '']) {
      const answer = await client.send({
        body: reviewBody(hopping),
        headers: { 'sallyport-hops': hops },
      });
      const { status } = JSON.parse(answer.text);
      expect([hops, status]).toEqual([
        hops,
        { authenticated: false, error: 'authenticator drop unavailable' },
      ]);
    }
    expect(await review(client, hopping)).toMatchObject({ authenticated: true });
    await waitFor(() => reviewsOfIt() > 0, 'the review that was forwarded');
    expect(reviewsOfIt()).toBe(1);
  });

  test('answers an error immediately where they ask themselves or each other, and asks its other authenticators', async () => {
    const looping = ({ url }: Gateway, ...more: readonly object[]) => ({
      authenticators: [forwarding(url, { timeout: '20s' }, { timeout: '20s' }), ...more],
      server: { reviewTimeout: '25s' },
    });
    try {
      await reconfigure(far, looping(far, staticAuthenticator));
      const seen = far.output.lines.length;
      const outcomes = () => outcomesOf(far, seen);
      const client = clientOf(far);
      expect(await review(client, newToken())).toEqual({
        authenticated: false,
        error: 'authenticator far unavailable',
      });
      await waitFor(() => outcomes().length === 4, 'four reviews');
      expect(outcomes()).toEqual(['error', 'error', 'error', 'error']);
      expect(await review(client, jane)).toEqual({
        authenticated: true,
        user: { username: 'jane' },
      });
      // Errors of one token open no circuit: each review goes round again.
      for (let turn = 0; turn < 6; turn++) await review(client, newToken());
      await waitFor(() => outcomes().length === 8 + 6 * 4, 'the other reviews');
      expect(far.output.lines.slice(seen).filter(({ msg }) => msg === 'circuit opened')).toEqual(
        [],
      );
      // The same happens through another gateway.
      await reconfigure(front, looping(far));
      await reconfigure(far, looping(front));
      const before = [far, front].map(({ output }) => output.lines.length);
      const count = () => outcomesOf(far, before[0]).length + outcomesOf(front, before[1]).length;
      expect(await review(client, newToken())).toEqual({
        authenticated: false,
        error: 'authenticator far unavailable',
      });
      await waitFor(() => count() === 4, 'four reviews');
    } finally {
      await reconfigure(far, farConfig);
      await reconfigure(front, frontConfig);
    }
  });
});

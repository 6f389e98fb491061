import { join } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { awkwardToken, randomToken, secret, sha256 } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { sealingKey, startCacheGateway } from './testing/cache-gateway.ts';
import { http1Client, review } from './testing/clients.ts';
import { type CommandResult, gatewayCommand, runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText, startGateway } from './testing/gateway.ts';
import { operatorIn } from './testing/redis-commands.ts';
import { runProgram } from './testing/shell.ts';

interface Place {
  readonly folder: string;
  readonly token: string;
  run(commandArguments: readonly string[], input?: string): Promise<CommandResult>;
}

/** Makes a folder with a config of static tokens, one of which is known. */
async function createPlace(
  config: object = { authenticators: [staticAuthenticator] },
): Promise<Place> {
  const token = randomToken();
  const folder = await configFolder(
    { ...config },
    { 'tokens.yaml': tokensFile({ [token]: 'ci' }) },
  );
  const env = { SALLYPORT_CONFIG: join(folder, 'gateway.yaml') };
  return {
    folder,
    token,
    run: (commandArguments, input) => runCommand(commandArguments, { cwd: folder, env }, input),
  };
}

describe.concurrent('sallyport', () => {
  test('a command reports a config that --config did not name', async () => {
    const { folder } = await createPlace();
    const config = join(folder, 'gateway.yaml');
    const script = '"$@" check >/dev/null; "$@" check --config "$SALLYPORT_CONFIG"';
    const setup = { cwd: folder, env: { SALLYPORT_CONFIG: config } };
    const { stderr } = await runProgram('sh', ['-c', script, 'sh', ...gatewayCommand], setup);
    expect(stderr).toBe(`sallyport: using config ${config} (SALLYPORT_CONFIG)\n`);
  });

  test('without any config, a command exits 2, and says where it looked and how to name one', async () => {
    const cwd = await temporaryFolder('no-config');
    const setup = { cwd, through: ['unshare', '--mount', 'sh', '-c', withoutConfig, 'sh', cwd] };
    const [shown, schema] = [
      await runCommand(['check'], setup),
      await runCommand(['schema'], setup),
    ];
    expect([shown.code, shown.stdout]).toEqual([2, '']);
    expect(shown.stderr).toMatch(
      /^sallyport: no config: --config .*SALLYPORT_CONFIG .*\/etc\/sallyport\/gateway\.yaml .*\n {2}fix: .*--config.*init \/etc\/sallyport --host HOST\n$/,
    );
    expect([schema.code, schema.stderr]).toEqual([0, '']);
  });

  test('token hash -o json prints JSON, and --generate a token that fits', async () => {
    const { run, token } = await createPlace();
    const words = ['--user', 'ci', '--audience', 'https://prod.example.com', '--ttl', 'never'];
    const given = await run(['token', 'hash', ...words, '-o', 'json'], token);
    expect(JSON.parse(given.stdout)).toEqual({
      entry: { sha256: sha256(token), username: 'ci', audiences: ['https://prod.example.com'] },
    });
    const made = JSON.parse(
      (await run(['token', 'hash', '--user', 'ci', '--generate', '-o', 'json'])).stdout,
    );
    expect(made.token.length).toBeGreaterThanOrEqual(32);
    expect(made.entry.sha256).toBe(sha256(made.token));
  });

  test('token hash refuses a token that kube-apiserver would cut', async () => {
    const { run } = await createPlace();
    const { code, stdout, stderr } = await run(
      ['token', 'hash', '--user', 'ci'],
      `${randomToken()} ${randomToken()}`,
    );
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/space/);
  });

  test('serve with an address without a host is wrong usage', async () => {
    const { run } = await createPlace();
    const { code, stdout, stderr } = await run(['serve', '--listen', '8080']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^sallyport: --listen: "8080" is not .+\n {2}fix: write .+\n$/);
  });
});

test('each command of an operator does its work, once: a token is made, taken, listed, revoked and refused', async () => {
  await using redis = await startRedis();
  const robots = { name: 'robots', use: 'redis', username: { prefix: 'robot:' } };
  await using replica = await startCacheGateway({
    authenticators: [{ ...robots, options: { url: redis.url } }],
    redis: { url: redis.url },
    keys: [sealingKey()],
  });
  const operator = operatorIn(replica.gateway.folder);
  const token = await operator.create('--user', 'ci', '--group', 'dev');
  expect((await replica.ask(token)).user?.username).toBe('robot:ci');
  const confirmed = /^confirmed by 1 of 1 replica\.$/m;
  const user = ['--user', 'robot:ci'];
  const steps: readonly (readonly [words: readonly string[], code: number, output: RegExp])[] = [
    [['check'], 0, /^config +ok /m],
    [['schema'], 0, /"\$schema"/],
    [['explain'], 0, /^robots +authenticated +\S+ +robot:ci$/m],
    [['token', 'list'], 0, /^[0-9a-f]{12} +robot:ci +dev .* good /m],
    [['token', 'hash', '--user', 'ci'], 0, /sha256: /],
    [['audit', 'fingerprint'], 0, /^\S+\n$/],
    [['block', ...user, '--for', '1h'], 0, confirmed],
    [['blocks'], 0, /robot:ci/],
    [['unblock', ...user], 0, confirmed],
    [['lockouts'], 0, /no refused attempts are counted/],
    [['unlock', ...user], 3, confirmed],
    [['revoke', ...user], 0, confirmed],
  ];
  for (const [words, code, output] of steps) {
    const result = await operator.run(words, token);
    expect([words, result.code]).toEqual([words, code]);
    expect(result.stdout + result.stderr).toMatch(output);
  }
  expect(await replica.ask(token)).toEqual({ authenticated: false });
});

test('serve takes an entry that token hash made, --listen in place of the config, and names a port in use', async () => {
  const { run } = await createPlace();
  // The token has no space, at which kube-apiserver cuts.
  const token = secret(awkwardToken().replaceAll(' ', ''));
  const person = ['--user', 'zoë', '--uid', '7', '--group', 'a', '--group', 'b', '--ttl', '30d'];
  const hashed = await run(['token', 'hash', ...person], token);
  expect(hashed).toMatchObject({ code: 0, stderr: '' });
  const files = { 'tokens.yaml': `tokens:\n${hashed.stdout}` };
  const config = { server: { listen: '127.0.0.1:1' }, authenticators: [staticAuthenticator] };
  await using gateway = await startGateway({
    config,
    files,
    commandArguments: ['--listen', '127.0.0.1:0'],
  });
  using client = http1Client(gateway.url);
  const user = { username: 'zoë', uid: '7', groups: ['a', 'b'] };
  expect(await review(client, token)).toEqual({ authenticated: true, user });
  expect(new URL(gateway.url).port).not.toBe('1');
  expect(gateway.output.stdout()).toBe('');
  expect(parse(configText(config)).server.listen).toBe('127.0.0.1:1');
  const { code, stderr } = await run(['serve', '--listen', new URL(gateway.url).host]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/--listen.*another process/s);
});

/** Hides the config of this machine from a command: in its mount namespace, /etc has a whiteout in its place. */
const withoutConfig = `set -e
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work"
mknod "$1/upper/sallyport" c 0 0
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" overlay /etc
shift
exec "$@"`;

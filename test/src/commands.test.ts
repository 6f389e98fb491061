import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { http1Client, review } from './testing/clients.ts';
import { type CommandResult, gatewayCommand, runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText, startGateway } from './testing/gateway.ts';
import { runProgram } from './testing/shell.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { awkwardToken, randomToken, secret, sha256 } from './testing/tokens.ts';

const trick = 'x\n  fix: evil\u001b[31m';

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
  test('--help explains it, and exits 0', async () => {
    const { run } = await createPlace();
    const { code, stdout, stderr } = await run(['--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Usage: sallyport /);
  });

  test.each(
    [
      ['fly'],
      ['check', '-o', 'xml'],
      ['token', 'hash'],
      ['explain', '--user', 'ci', '--audience', 'vault'],
    ].map((path) => ({ path })),
  )('$path is wrong usage, and exits 2', async ({ path }) => {
    const { run } = await createPlace();
    const { code, stdout, stderr } = await run(path);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: /);
  });

  test.each(
    [
      ['token', 'hash', '--user', 'ci', '--ttl', trick],
      ['token', 'create', '--user', 'ci', '--ttl', '8h', '--extra', trick],
      ['check', '--config', trick],
      ['check', '-o', trick],
      ['blocks', `--${trick}`],
      [trick],
    ].map((path) => ({ path })),
  )('$path: a terminal does not obey what is quoted, and it has no fix', async ({ path }) => {
    const { run } = await createPlace();
    const { stdout, stderr } = await run(path);
    expect(stdout + stderr).toMatch(/evil/);
    expect(stdout + stderr).not.toContain('\u001b');
    expect(stdout + stderr).not.toMatch(/^ {0,2}fix: evil/m);
  });

  test('check quotes nothing of a config that a terminal obeys, or that looks like a fix', async () => {
    const { run } = await createPlace({
      server: { shutdownDelay: trick },
      authenticators: [
        { ...staticAuthenticator, name: trick },
        { name: 'x', use: `./${trick}` },
      ],
    });
    const { code, stdout } = await run(['check']);
    expect([code, stdout]).toEqual([1, expect.stringContaining('evil')]);
    const column = stdout.indexOf('DETAIL');
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toMatch(new RegExp(`^ {0,${column + 2}}fix: evil`, 'm'));
  });

  test('check passes a good config, with a table', async () => {
    const { run } = await createPlace();
    const { code, stdout, stderr } = await run(['check']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^config +ok .*gateway\.yaml\n/m);
    expect(stdout).toMatch(/robots.*ok/);
  });

  test('check finds all errors of a config in one run, says where, and exits 1', async () => {
    const { run, folder } = await createPlace();
    const missing = { ...staticAuthenticator, options: { tokensFile: 'missing.yaml' } };
    const text = configText({ authenticators: [missing, { name: 'other', use: 'statik' }] });
    const bad = text
      .replace('listen:', 'lissten:')
      .replace('shutdownDelay: 0s', 'shutdownDelay: 5');
    await writeFile(join(folder, 'gateway.yaml'), bad);
    const { code, stdout } = await run(['check']);
    expect(code).toBe(1);
    for (const message of [
      /gateway\.yaml:\d+:3: .*lissten: unknown key\n +fix: did you mean listen/,
      /gateway\.yaml:\d+:18: .*unit/,
      /missing\.yaml/,
      /gateway\.yaml:\d+:\d+: .*statik/,
    ]) {
      expect(stdout).toMatch(message);
    }
  });

  test('with an edit that is refused, a command says how to go on, and the copy of the last good file works', async () => {
    const { run, folder, token } = await createPlace();
    const good = await readFile(join(folder, 'gateway.yaml'), 'utf8');
    await writeFile(join(folder, 'last-good.yaml'), good);
    await writeFile(join(folder, 'gateway.yaml'), good.replace('listen:', 'lissten:'));
    const refused = await run(['explain'], token);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(
      /gateway\.yaml:\d+:3: .*lissten.*\n {2}fix: .*\nRunning gateways keep .* --config and a copy of its last valid version/,
    );
    expect((await run(['explain', '--config', 'last-good.yaml'], token)).code).toBe(0);
    expect((await run(['explain', '--config', 'missing.yaml'], token)).stderr).not.toContain(
      'last valid',
    );
  });

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

  test('explain shows what each authenticator answers, and what kube-apiserver would get', async () => {
    const { run, token } = await createPlace();
    const { code, stdout } = await run(['explain', '-o', 'json'], token);
    expect(code).toBe(0);
    const { authenticators, status } = JSON.parse(stdout);
    expect(authenticators).toEqual([
      {
        authenticator: 'robots',
        answer: 'authenticated',
        reason: 'ci',
        milliseconds: expect.any(Number),
      },
    ]);
    expect(status).toMatchObject({ authenticated: true, user: { username: 'ci' } });
  });

  test('explain of a token that could not be checked exits 1', async () => {
    const down = { name: 'corp', use: './broken.ts' };
    const { run, folder } = await createPlace({ authenticators: [down] });
    await writeFile(join(folder, 'broken.ts'), brokenPlugin);
    const { code, stdout } = await run(['explain', '-o', 'json'], randomToken());
    expect(code).toBe(1);
    expect(JSON.parse(stdout).status).toEqual({
      authenticated: false,
      error: 'authenticator corp unavailable',
    });
  });

  test('explain without a token says how to give one', async () => {
    const { run } = await createPlace();
    const { code, stderr } = await run(['explain'], '');
    expect(code).toBe(2);
    expect(stderr).toMatch(/standard input/);
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
    expect(stderr).toMatch(/^sallyport: "8080" is not .+\n {2}fix: write .+\n$/);
  });

  test('explain says why no authenticator was asked about a token that is too long', async () => {
    const { run } = await createPlace();
    const { code, stdout } = await run(['explain', '-o', 'json'], randomToken().repeat(1000));
    expect(code).toBe(3);
    expect(JSON.parse(stdout).authenticators[0]).toMatchObject({
      answer: 'not asked',
      reason: expect.stringContaining('server.maxTokenSize'),
    });
  });
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
  expect(stderr).toMatch(/server\.listen.*another process/s);
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

/** A plugin whose every check fails, without a dependency. */
const brokenPlugin = `
const schema = () => ({ type: 'object', properties: {} });
export default {
  specificationVersion: 1,
  name: 'broken',
  caching: 'none',
  optionsSchema: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }), jsonSchema: { input: schema, output: schema } } },
  create: async () => ({ authenticate: async () => { throw new Error('down'); }, close: async () => {} }),
};
`;

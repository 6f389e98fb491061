import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor, waitForPromise } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { codeFolder, gatewayFolder, runCommand, spawnCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { temporaryFolder } from './testing/folder.ts';
import { collectOutput } from './testing/output.ts';

/** A plugin, without a dependency, that leaves a timer behind, which keeps a process alive. */
const lingeringPlugin = `
const schema = () => ({ type: 'object', properties: {} });
export default {
  specificationVersion: 1,
  name: 'lingering',
  caching: 'none',
  optionsSchema: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }), jsonSchema: { input: schema, output: schema } } },
  create: async () => {
    setInterval(() => {}, 1000);
    return {
      authenticate: async () => ({ kind: 'authenticated', user: { username: 'ada' } }),
      close: async () => {},
    };
  },
};
`;

describe.concurrent('with a plugin that leaves a timer behind', () => {
  test.each([
    {
      command: 'check',
      input: '',
      printed: {
        findings: expect.arrayContaining([
          expect.objectContaining({ check: 'authenticator corp', result: 'ok' }),
        ]),
      },
    },
    {
      command: 'explain',
      input: randomToken(),
      printed: { status: { authenticated: true, user: { username: 'ada' } } },
    },
  ])('$command prints what it has to say, and ends', async ({ command, input, printed }) => {
    const config = { authenticators: [{ name: 'corp', use: './lingering.ts' }] };
    const cwd = await configFolder(config, { 'lingering.ts': lingeringPlugin });
    const { code, stdout } = await runCommand(
      [command, '--config', 'gateway.yaml', '-o', 'json'],
      { cwd },
      input,
    );
    expect(JSON.parse(stdout)).toMatchObject(printed);
    expect(code).toBe(0);
  });
});

/**
 * A plugin, without a dependency, that notes its calls. It issues tokens, but hangs when it is asked for one of `hung`; it revokes 20
 * of anyone else's, and hangs after the first of `hung`.
 */
const issuerPlugin = `
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
const schema = () => ({ type: 'object', properties: {} });
export default {
  specificationVersion: 1,
  name: 'issuer',
  caching: 'none',
  optionsSchema: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }), jsonSchema: { input: schema, output: schema } } },
  create: async () => ({ authenticate: async () => ({ kind: 'no-opinion' }), close: async () => {} }),
  async createTokenIssuer(_options, { baseDirectory }) {
    const note = (call) => appendFile(join(baseDirectory, 'calls'), call + '\\n');
    const digestOf = (number) => String(number).padStart(64, '0');
    return {
      async create({ user }) {
        if (user.username === 'hung') { await note('hangs'); await new Promise(() => {}); }
        return { token: 'TOKEN', issued: { digest: digestOf(0), user } };
      },
      async *list() {},
      async *revoke({ username }, revoked) {
        for (let number = 1; number <= 20; number++) {
          if (username === 'hung' && number > 1) { await note('hangs'); await new Promise(() => {}); }
          await note('revoked');
          yield { token: { digest: digestOf(number), user: { username }, revoked }, already: false };
        }
      },
      close: () => note('closed'),
    };
  },
};
`;

describe.concurrent('a command about tokens', () => {
  async function createPlace() {
    const token = randomToken();
    const config = { authenticators: [{ name: 'robots', use: './issuer.ts' }] };
    const plugin = issuerPlugin.replace('TOKEN', token);
    const cwd = await configFolder(config, { 'issuer.ts': plugin });
    const setup = { cwd, env: { SALLYPORT_CONFIG: join(cwd, 'gateway.yaml') } };
    const calls = () => readFile(join(cwd, 'calls'), 'utf8').catch(() => '');
    return { setup, calls, token };
  }

  /** Starts a command, and sends it a signal when the issuer hangs. */
  async function interrupt(words: readonly string[], signal: NodeJS.Signals) {
    const { setup, calls } = await createPlace();
    const child = spawnCommand(words, setup);
    const ended = new Promise((resolve) => child.once('close', resolve));
    if (!child.stdout || !child.stderr) throw new Error('no output');
    const output = collectOutput(child.stdout, child.stderr);
    await waitFor(async () => (await calls()).endsWith('hangs\n'), 'the call that hangs');
    child.kill(signal);
    const code = await waitForPromise(ended, 'the end');
    return { code, output, calls: await calls() };
  }

  test('token create ends at SIGTERM immediately, and says that a token may be left', async () => {
    const words = ['token', 'create', '--user', 'hung', '--ttl', '8h'];
    const { code, output, calls } = await interrupt(words, 'SIGTERM');
    expect([code, calls]).toEqual([1, 'hangs\nclosed\n']);
    expect(output.text()).toMatch(
      / might have made the token: interrupted\n {2}fix: to see whether it did, run: npx -y pnpm@10 sallyport token list --user hung --config \S+\n$/,
    );
  });

  test('revoke -o json ends at Ctrl-C, and prints what it revoked until then', async () => {
    const words = ['revoke', '--user', 'hung', '-o', 'json'];
    const { code, output, calls } = await interrupt(words, 'SIGINT');
    expect([code, calls]).toEqual([1, 'revoked\nhangs\nclosed\n']);
    expect(JSON.parse(output.stdout()).revoked).toHaveLength(1);
    expect(output.text()).toMatch(/ could not revoke everything: interrupted\n$/);
  });

  test('revoke goes on when no one reads what it prints', async () => {
    const { setup, calls } = await createPlace();
    const child = spawnCommand(['revoke', '--user', 'jane'], setup);
    child.stdout?.destroy();
    const ended = new Promise((resolve) => child.once('close', resolve));
    expect(await waitForPromise(ended, 'the end')).toBe(0);
    expect(await calls()).toBe(`${'revoked\n'.repeat(20)}closed\n`);
  });

  test('token create fails if the token can not be printed', async () => {
    const { setup, token } = await createPlace();
    const script = join(gatewayFolder, codeFolder, 'sallyport.js');
    const command = `exec '${process.execPath}' '${script}' token create --user jane --ttl 8h > /dev/full`;
    const child = spawn('sh', ['-c', command], { ...setup, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    expect(await waitForPromise(ended, 'the end')).toBe(1);
    expect(stderr).toContain("sallyport: standard output can't be written: ENOSPC");
    expect(stderr).toContain('\nTo revoke it: ');
    expect(stderr).not.toContain(token);
  });
});

test('a command that needs no file works in a folder that was removed', async () => {
  const cwd = await temporaryFolder('removed');
  const { code, stdout, stderr } = await runCommand(
    ['token', 'hash', '--user', 'ci'],
    { cwd, through: ['sh', '-c', 'rmdir "$PWD" && exec "$@"', 'sh'] },
    randomToken(),
  );
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain('username: ci');
});

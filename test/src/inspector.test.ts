import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor, waitForPromise } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { gatewayFolder, runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { blocksOf } from './testing/documents.ts';
import { collectOutput } from './testing/output.ts';
import { rootFolder } from './testing/pnpm.ts';

const cli = join(gatewayFolder, 'src/sallyport.js');
const PATH = [join(rootFolder, 'node_modules/.bin'), process.env.PATH].join(delimiter);

/** Finds each way to start it that the docs name, as words of a shell, so that none is forgotten. */
async function documentedWays(): Promise<readonly string[]> {
  const blocks = await Promise.all(['README.md', 'docs/running.md'].map(blocksOf));
  const direct = blocks
    .flat()
    .flatMap(({ text }) =>
      [...text.matchAll(/^ *(\S*node .*sallyport\.js) serve\b/gm)].map(
        ([, words]) => `exec ${words} serve`,
      ),
    );
  expect(direct).not.toEqual([]);
  const { scripts } = JSON.parse(await readFile(join(gatewayFolder, 'package.json'), 'utf8'));
  // `pnpm --filter gateway start` runs this.
  return [...new Set(direct), `cd '${gatewayFolder}' && ${scripts.start}`];
}

/** Makes the folder of a config, and a token that it accepts. */
async function createConfig(): Promise<{ readonly config: string; readonly token: string }> {
  const token = randomToken();
  const files = { 'tokens.yaml': tokensFile({ [token]: 'ada' }) };
  const folder = await configFolder({ authenticators: [staticAuthenticator] }, files);
  return { config: join(folder, 'gateway.yaml'), token };
}

/** The option for a free port of the inspector, so that one that is open elsewhere hides nothing. */
const anyPort = { NODE_OPTIONS: '--inspect-port=127.0.0.1:0' };

function start(words: string, config: string) {
  const env = { PATH, HOME: rootFolder, ...anyPort };
  const child = spawn('sh', ['-c', `${words} --config '${config}'`], { cwd: rootFolder, env });
  const output = collectOutput(child.stdout, child.stderr);
  const ended = new Promise((resolve) => child.once('close', resolve));
  return {
    child,
    pid: child.pid ?? 0,
    output,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await waitForPromise(ended, 'the end');
    },
  };
}

const documented = await documentedWays();

/** Signals a gateway that answers, and checks whether the signal had an effect. */
async function expectNoInspector(
  { child, output }: ReturnType<typeof start>,
  token: string,
): Promise<void> {
  const { url } = await output.waitForLine(({ msg }) => msg === 'listening', '"listening"');
  using client = http1Client(String(url));
  for (let count = 0; count < 10; count++) {
    child.kill('SIGUSR1');
    expect(await review(client, token)).toMatchObject({ authenticated: true });
  }
  expect(output.text()).not.toContain('Debugger');
}

describe('SIGUSR1 opens no inspector', () => {
  test.each(documented)('of `%s`, from its first moment on', async (words) => {
    const { config, token } = await createConfig();
    await using started = start(words, config);
    const { child, pid, output } = started;
    // Until Node itself runs, this signal ends the process, as it ends any other. Node blocks this one alone.
    const isBlocked = async () =>
      /\nSigBlk:\s0*200\n/.test(await readFile(`/proc/${pid}/status`, 'utf8'));
    await waitFor(isBlocked, 'SIGUSR1 to be blocked');
    const storm = setInterval(() => child.kill('SIGUSR1'), 2);
    const listening = output.waitForLine(({ msg }) => msg === 'listening', '"listening"');
    await listening.finally(() => clearInterval(storm));
    await expectNoInspector(started, token);
  });

  test.each([
    `exec '${process.execPath}' '${cli}' serve`,
    // An older Node, which must say in one line that it is too old, does not know the option.
    'exec node_modules/.bin/sallyport serve',
  ])('of `%s`, without --disable-sigusr1', async (words) => {
    const { config, token } = await createConfig();
    await using started = start(words, config);
    await expectNoInspector(started, token);
  });
});

describe('an inspector that is open all the same ends the process', () => {
  const message =
    /sallyport: Node's inspector is open: anyone who can reach its port decides who gets into the cluster\. Start without --inspect/;

  test.each(['schema', 'serve'])('%s does not start under --inspect', async (command) => {
    const { config } = await createConfig();
    const env = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };
    const { code, stdout, stderr } = await runCommand([command, '--config', config], {
      cwd: rootFolder,
      env,
    });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
  });

  test('also one that is opened later', async () => {
    const plugin = `
      import { open } from 'node:inspector';
      const schema = () => ({ type: 'object', properties: {} });
      export default {
        specificationVersion: 1,
        name: 'opens',
        caching: 'none',
        optionsSchema: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }), jsonSchema: { input: schema, output: schema } } },
        create: async () => {
          open(0, '127.0.0.1');
          return { authenticate: async () => ({ kind: 'no-opinion' }), close: async () => {} };
        },
      };
    `;
    const authenticators = [{ name: 'opens', use: './opens.ts' }];
    const cwd = await configFolder({ authenticators }, { 'opens.ts': plugin });
    const { code, stderr } = await runCommand(['serve', '--config', 'gateway.yaml'], { cwd });
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });
});

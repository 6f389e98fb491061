import { execFile } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { tokensFile } from '@sallyport/test-servers/static-tokens';
import { startTcpServer } from '@sallyport/test-servers/tcp-server';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type CommandResult, gatewayFolder } from './testing/command.ts';
import { startGateway } from './testing/gateway.ts';
import { anyPort, copyGateway, curlLine } from './testing/private-gateway.ts';

test('the first start makes a demo token, loads it once, and prints a line that works', async () => {
  const folder = await copyGateway();
  // This file is read after the file of the demo: once this one is reloaded, that of the demo would have been.
  const marker = { name: 'marker', use: 'static', options: { tokensFile: 'marker.yaml' } };
  const config = parse(await readFile(join(folder, 'gateway.yaml'), 'utf8'));
  config.authenticators.push(marker);
  await writeFile(join(folder, 'gateway.yaml'), stringify(config));
  await writeFile(join(folder, 'marker.yaml'), tokensFile({ [randomToken()]: 'one' }));

  await using gateway = await startGateway({
    gatewayFolder: folder,
    commandArguments: ['--demo', ...anyPort],
  });
  const { stdout } = await promisify(execFile)('sh', ['-c', await curlLine(gateway)]);
  // No output may contain it from here on.
  secret(
    JSON.parse(await readFile(join(folder, '.demo/current/token-review.json'), 'utf8')).spec.token,
  );
  expect(JSON.parse(stdout).status).toMatchObject({
    authenticated: true,
    user: { username: 'demo' },
  });
  for (const name of ['token-review.json', 'tokens.yaml']) {
    expect((await stat(join(folder, '.demo/current', name))).mode & 0o777).toBe(0o600);
  }
  await writeFile(join(folder, 'marker.yaml'), tokensFile({ [randomToken()]: 'two' }));
  await gateway.waitForLog('file reloaded');
  const about = (pattern: RegExp) =>
    gateway.output.lines
      .filter(({ msg }) => pattern.test(msg))
      .map(({ authenticator, file }) => authenticator ?? file);
  // The lines are sorted, since the two files are read concurrently at the start.
  expect(about(/^static tokens loaded/).sort()).toEqual(['demo', 'marker', 'marker']);
  expect(about(/^file reloaded/)).toEqual([join(folder, 'marker.yaml')]);
});

test('two demos that start at the same moment, on ports that are taken, each work as they print', async () => {
  const folder = await copyGateway();
  const config = parse(await readFile(join(folder, 'gateway.yaml'), 'utf8'));
  await using reviews = await startTcpServer((client) => client.destroy());
  await using admin = await startTcpServer((client) => client.destroy());
  config.server.listen = `127.0.0.1:${reviews.port}`;
  config.admin.listen = `127.0.0.1:${admin.port}`;
  await writeFile(join(folder, 'gateway.yaml'), stringify(config));
  const start = () => startGateway({ gatewayFolder: folder, commandArguments: ['--demo'] });
  const [first, second] = await Promise.all([start(), start()]);
  await using _first = first;
  await using _second = second;
  secret(
    JSON.parse(await readFile(join(folder, '.demo/current/token-review.json'), 'utf8')).spec.token,
  );
  for (const gateway of [first, second]) {
    const line = await curlLine(gateway);
    expect(gateway.output.stdout()).toContain(
      `\nAnother process listens on 127.0.0.1:${reviews.port} and 127.0.0.1:${admin.port}, so the demo uses free ports.\n`,
    );
    const [, statusPage = ''] =
      /^See what comes in, live: (.*)$/m.exec(gateway.output.stdout()) ?? [];
    // The token is of the one that wrote last; the other loads its digest when it sees the file.
    await waitFor(async () => {
      const { stdout } = await promisify(execFile)('sh', ['-c', line]);
      return JSON.parse(stdout).status.authenticated === true || undefined;
    }, 'the token of the demo that started last');
    expect((await fetch(statusPage)).status).toBe(200);
  }
});

const entry = join(gatewayFolder, 'src/sallyport.js');

/** Runs the entry point with a Node that says it is of this version. */
function runOn(version: string): Promise<CommandResult> {
  const pretend = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
  const commandArguments = [
    '--import',
    `data:text/javascript,${encodeURIComponent(pretend)}`,
    entry,
    '--version',
  ];
  return new Promise((resolve) => {
    execFile(process.execPath, commandArguments, { env: {} }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe.concurrent('a Node that is too old', () => {
  test.each(['22.23.3', '24.20.0', '25.9.0', '26.3.0'])(
    '%s is reported in one line, with what to run',
    async (version) => {
      const { code, stdout, stderr } = await runOn(version);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(
        /^sallyport: can't run on Node [\d.]+ \(.+\): it needs Node 24\.21, or 26\.3\.1 or later\. To fix it, run it with .+: npx -y pnpm@10 sallyport\n$/,
      );
      expect(stderr).toContain(`Node ${version} `);
    },
  );

  test.each(['24.21.0', '26.3.1', '27.0.0'])('%s is not', async (version) => {
    expect(await runOn(version)).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    });
  });

  test('every way of starting goes through the file that looks at it', async () => {
    const manifest = JSON.parse(await readFile(join(gatewayFolder, 'package.json'), 'utf8'));
    expect(manifest.bin).toEqual({ sallyport: './src/sallyport.js' });
    expect(manifest.engines.node).toBe('^24.21.0 || >=26.3.1');
    // Nothing but this names the demo config: a command that was given no config must not use it.
    expect(manifest.scripts.start).toMatch(/ serve --demo$/);
    for (const script of [manifest.scripts.start, manifest.scripts.schema])
      expect(script).toContain('src/sallyport.js');
    // Modules that an old Node can't load must not be imported before the version is known.
    const imports = (await readFile(entry, 'utf8')).match(/^import .*/gm);
    expect(imports).toEqual([
      "import { accessSync, constants, existsSync } from 'node:fs';",
      "import { totalmem } from 'node:os';",
    ]);
  });
});

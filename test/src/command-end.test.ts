import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText } from './testing/gateway.ts';
import { randomToken } from './testing/tokens.ts';

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
    [
      'check',
      '',
      { findings: expect.arrayContaining([expect.objectContaining({ check: 'authenticator corp', result: 'ok' })]) },
    ],
    ['explain', randomToken(), { status: { authenticated: true, user: { username: 'ada' } } }],
  ])('%s prints what it has to say, and ends', async (command, input, printed) => {
    const cwd = await temporaryFolder('command-end');
    await writeFile(join(cwd, 'lingering.ts'), lingeringPlugin);
    const config = join(cwd, 'gateway.yaml');
    await writeFile(config, configText({ authenticators: [{ name: 'corp', use: './lingering.ts' }] }));
    const { code, stdout } = await runCommand([command, '--config', config, '-o', 'json'], { cwd }, input);
    expect(JSON.parse(stdout)).toMatchObject(printed);
    expect(code).toBe(0);
  });
});

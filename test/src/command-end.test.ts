import { describe, expect, test } from 'vitest';
import { runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
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
      {
        findings: expect.arrayContaining([
          expect.objectContaining({ check: 'authenticator corp', result: 'ok' }),
        ]),
      },
    ],
    ['explain', randomToken(), { status: { authenticated: true, user: { username: 'ada' } } }],
  ])('%s prints what it has to say, and ends', async (command, input, printed) => {
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

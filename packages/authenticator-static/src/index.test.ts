import { expect, test } from 'vitest';
import plugin from './index.ts';

test('the plugin is named static, and its answers are never cached', () => {
  expect(plugin).toMatchObject({ specificationVersion: 1, name: 'static', caching: 'none' });
});

test.each([{ tokensFile: 'a' }, { tokenAuthFile: 'b' }, { tokensFile: 'a', tokenAuthFile: 'b' }])(
  'the options %j are good',
  async (options) => {
    expect(await plugin.optionsSchema['~standard'].validate(options)).toEqual({ value: options });
  },
);

test.each([
  {
    options: {},
    message:
      'no file of tokens is set: write tokensFile: tokens.yaml, tokenAuthFile: tokens.csv, or both',
  },
  { options: { tokensFile: '' }, message: 'must be a path, such as tokens.yaml' },
  { options: { tokensFile: 7 }, message: 'must be a path, such as tokens.yaml' },
  { options: { tokenAuthFile: ['a'] }, message: 'must be a path, such as tokens.csv' },
  { options: { tokensFile: 'a', tokenFile: 'b' }, message: 'tokenFile' },
])('the options $options are refused with the fix', async ({ options, message }) => {
  const { issues } = await plugin.optionsSchema['~standard'].validate(options);
  expect(issues?.map((issue) => issue.message).join()).toContain(message);
});

test('the JSON Schema describes each option and requires at least one of the files', () => {
  const schema = plugin.optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
  expect(schema).toMatchObject({
    properties: {
      tokensFile: { type: 'string', description: expect.stringContaining('SHA-256') },
      tokenAuthFile: { type: 'string', description: expect.stringContaining('--token-auth-file') },
    },
    additionalProperties: false,
    anyOf: [{ required: ['tokensFile'] }, { required: ['tokenAuthFile'] }],
  });
});

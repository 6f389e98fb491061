import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { z as z3 } from 'zod/v3';
import type { AuthenticatorPlugin } from '../../index.ts';
import { conformanceCases } from '../index.ts';
import { memoryHarness } from '../testing/memory-harness.ts';
import type { MemoryOptions } from '../testing/memory-plugin.ts';

const good = await memoryHarness();
afterAll(() => good[Symbol.asyncDispose]());

const shape = 'the plugin has the shape that the gateway loads';
const described = 'optionsSchema describes the options as a JSON Schema';
const named = 'optionsSchema accepts no key that it does not name';

async function failures(plugin: unknown): Promise<Record<string, string>> {
  const cases = conformanceCases({ ...good, plugin: plugin as AuthenticatorPlugin<MemoryOptions> });
  const messages: Record<string, string> = {};
  for (const { name, run } of cases.filter((one) => [shape, described, named].includes(one.name))) {
    await run().catch((error: Error) => Object.assign(messages, { [name]: error.message }));
  }
  return messages;
}

const withSchema = (optionsSchema: unknown) => ({ ...good.plugin, optionsSchema });
const keys = { password: z.string(), groupsFile: z.string() };

interface Tree {
  readonly name: string;
  readonly children: readonly Tree[];
}
const strictTree: z.ZodType<Tree> = z.strictObject({
  name: z.string(),
  children: z.lazy(() => z.array(strictTree)),
});
const looseTree: z.ZodType<Tree> = z.looseObject({
  name: z.string(),
  children: z.lazy(() => z.array(looseTree)),
});
const looseHost = z.looseObject({ host: z.string() });

describe('a schema of zod', () => {
  test.each([
    { name: 'strictObject', schema: z.strictObject(keys) },
    { name: 'object, whose unknown keys the gateway finds', schema: z.object(keys) },
    {
      name: 'with a map of free keys',
      schema: z.strictObject({ ...keys, labels: z.record(z.string(), z.string()).optional() }),
    },
    {
      name: 'with a choice of maps',
      schema: z.strictObject({
        ...keys,
        a: z.union([z.strictObject({ b: z.string() }), z.string()]).optional(),
      }),
    },
    {
      name: 'with a map of maps',
      schema: z.strictObject({ ...keys, a: z.record(z.string(), z.strictObject({})).optional() }),
    },
    {
      name: 'that has a name of its own, and is in itself',
      schema: z.strictObject({ ...keys, tree: strictTree.optional() }),
    },
    // Its JSON Schema says nothing of other keys, so the gateway refuses them, as with object.
    { name: 'strictObject and looseObject', schema: z.strictObject(keys).and(z.looseObject({})) },
  ])('$name passes', async ({ schema }) => {
    expect(await failures(withSchema(schema))).toEqual({});
  });

  test.each([
    {
      name: 'looseObject',
      schema: z.looseObject(keys),
      cases: [named],
      words: 'but the options take any key.',
    },
    {
      name: 'catchall',
      schema: z.object(keys).catchall(z.string()),
      cases: [named],
      words: 'but the options take any key.',
    },
    {
      name: 'a loose map within a list',
      schema: z.strictObject({
        ...keys,
        servers: z.array(z.looseObject({ host: z.string() })).optional(),
      }),
      cases: [named],
      words: 'but servers[] takes any key.',
    },
    {
      name: 'a loose map within a choice',
      schema: z.strictObject({
        ...keys,
        tls: z.union([z.boolean(), z.looseObject({ ca: z.string() })]).optional(),
      }),
      cases: [named],
      words: 'but tls takes any key.',
    },
    {
      name: 'a loose map in a tuple',
      schema: z.strictObject({ ...keys, pair: z.tuple([looseHost]).optional() }),
      cases: [named],
      words: 'but pair[] takes any key.',
    },
    {
      name: 'a loose map in a free map',
      schema: z.strictObject({ ...keys, hosts: z.record(z.string(), looseHost).optional() }),
      cases: [named],
      words: 'but hosts.* takes any key.',
    },
    {
      name: 'a loose map with a name of its own',
      schema: z.strictObject({ ...keys, one: looseHost.meta({ id: 'Host' }).optional() }),
      cases: [named],
      words: 'but one takes any key.',
    },
    {
      name: 'a loose map that is in itself',
      schema: z.strictObject({ ...keys, tree: looseTree.optional() }),
      cases: [named],
      words: 'but tree takes any key.',
    },
    {
      name: 'record',
      schema: z.record(z.string(), z.string()),
      cases: [described, named],
      words: 'write z.strictObject({ … })',
    },
    { name: 'any', schema: z.any(), cases: [described], words: 'write z.strictObject({ … })' },
  ])('$name takes keys that it does not name', async ({ schema, cases, words }) => {
    const messages = await failures(withSchema(schema));
    expect(Object.keys(messages)).toEqual(cases);
    for (const message of Object.values(messages))
      expect(message).toMatch(/write z\.strictObject\(\{ … \}\)/);
    expect(Object.values(messages).join()).toContain(words);
  });

  test.each([
    { name: 'zod/v3', schema: z3.object({ password: z3.string(), groupsFile: z3.string() }) },
    { name: 'zod 3 before 3.24', schema: { _def: { typeName: 'ZodObject' }, parse() {} } },
  ])('of $name is too old, and the message names the fix', async ({ schema }) => {
    const messages = await failures(withSchema(schema));
    expect(Object.keys(messages)).toEqual([shape, described, named]);
    for (const message of Object.values(messages)) {
      expect(message).toMatch(
        /^Expected .+, but it is a schema of an old zod, .+\. .*Use zod 4\.2 or later/,
      );
    }
  });
});

const closed = {
  type: 'object',
  properties: { a: { type: 'string' } },
  additionalProperties: false,
};

test.each([
  {
    name: 'in the options',
    part: { allOf: [closed, { additionalProperties: {} }] },
    words: 'but the options take any key.',
  },
  {
    name: 'below them',
    part: {
      properties: { tls: { allOf: [closed, { type: 'object', additionalProperties: {} }] } },
    },
    words: 'but tls takes any key.',
  },
  {
    name: 'by reference',
    part: {
      properties: { tls: { allOf: [{ $ref: '#/$defs/a~1b' }] } },
      $defs: { 'a/b': { ...closed, patternProperties: {}, additionalProperties: true } },
    },
    words: 'but tls takes any key.',
  },
])('allOf $name takes what any of its members takes', async ({ part, words }) => {
  const jsonSchema = {
    input: () => ({ type: 'object', properties: { password: {}, groupsFile: {} }, ...part }),
  };
  const schema = {
    '~standard': { version: 1, vendor: 'acme', validate: () => ({ value: {} }), jsonSchema },
  };
  expect((await failures(withSchema(schema)))[named]).toContain(words);
});

test.each([
  {
    name: 'of another library',
    schema: { '~standard': { version: 1, vendor: 'acme', validate() {} } },
    words: 'a schema of acme that makes no JSON Schema',
  },
  {
    name: 'that is not a schema',
    schema: { properties: {} },
    words: 'it is not a Standard Schema',
  },
  { name: 'that is left out', schema: undefined, words: 'it is not a Standard Schema' },
])('a schema $name is refused', async ({ schema, words }) => {
  expect((await failures(withSchema(schema)))[shape]).toContain(words);
});

test.each([
  { name: 'exports.default', exported: { __esModule: true, default: good.plugin } },
  { name: 'import * as plugin', exported: { default: good.plugin, other: 1 } },
])('the export of $name is not the plugin, and the message names the fix', async ({ exported }) => {
  const { [shape]: message } = await failures(exported);
  expect(message).toBe(
    'Expected the default export to be the plugin, but it is an object whose default is the plugin, as of a CommonJS module with exports.default. Publish an ES module: "type": "module" in package.json, and `export default plugin` in the code.',
  );
});

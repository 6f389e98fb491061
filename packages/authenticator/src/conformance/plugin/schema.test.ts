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
    ['strictObject', z.strictObject(keys)],
    ['object, whose unknown keys the gateway finds', z.object(keys)],
    [
      'with a map of free keys',
      z.strictObject({ ...keys, labels: z.record(z.string(), z.string()).optional() }),
    ],
    [
      'with a choice of maps',
      z.strictObject({
        ...keys,
        a: z.union([z.strictObject({ b: z.string() }), z.string()]).optional(),
      }),
    ],
    [
      'with a map of maps',
      z.strictObject({ ...keys, a: z.record(z.string(), z.strictObject({})).optional() }),
    ],
    [
      'that has a name of its own, and is in itself',
      z.strictObject({ ...keys, tree: strictTree.optional() }),
    ],
    // Its JSON Schema says nothing of other keys, so the gateway refuses them, as with object.
    ['strictObject and looseObject', z.strictObject(keys).and(z.looseObject({}))],
  ])('%s passes', async (_name, schema) => {
    expect(await failures(withSchema(schema))).toEqual({});
  });

  test.each([
    ['looseObject', z.looseObject(keys), [named], 'but the options take any key.'],
    ['catchall', z.object(keys).catchall(z.string()), [named], 'but the options take any key.'],
    [
      'a loose map within a list',
      z.strictObject({ ...keys, servers: z.array(z.looseObject({ host: z.string() })).optional() }),
      [named],
      'but servers[] takes any key.',
    ],
    [
      'a loose map within a choice',
      z.strictObject({
        ...keys,
        tls: z.union([z.boolean(), z.looseObject({ ca: z.string() })]).optional(),
      }),
      [named],
      'but tls takes any key.',
    ],
    [
      'a loose map in a tuple',
      z.strictObject({ ...keys, pair: z.tuple([looseHost]).optional() }),
      [named],
      'but pair[] takes any key.',
    ],
    [
      'a loose map in a free map',
      z.strictObject({ ...keys, hosts: z.record(z.string(), looseHost).optional() }),
      [named],
      'but hosts.* takes any key.',
    ],
    [
      'a loose map with a name of its own',
      z.strictObject({ ...keys, one: looseHost.meta({ id: 'Host' }).optional() }),
      [named],
      'but one takes any key.',
    ],
    [
      'a loose map that is in itself',
      z.strictObject({ ...keys, tree: looseTree.optional() }),
      [named],
      'but tree takes any key.',
    ],
    ['record', z.record(z.string(), z.string()), [described, named], 'write z.strictObject({ … })'],
    ['any', z.any(), [described], 'write z.strictObject({ … })'],
  ])('%s takes keys that it does not name', async (_name, schema, cases, words) => {
    const messages = await failures(withSchema(schema));
    expect(Object.keys(messages)).toEqual(cases);
    for (const message of Object.values(messages))
      expect(message).toMatch(/write z\.strictObject\(\{ … \}\)/);
    expect(Object.values(messages).join()).toContain(words);
  });

  test.each([
    ['zod/v3', z3.object({ password: z3.string(), groupsFile: z3.string() })],
    ['zod 3 before 3.24', { _def: { typeName: 'ZodObject' }, parse() {} }],
  ])('of %s is too old, and the message names the fix', async (_name, schema) => {
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
  [
    'in the options',
    { allOf: [closed, { additionalProperties: {} }] },
    'but the options take any key.',
  ],
  [
    'below them',
    { properties: { tls: { allOf: [closed, { type: 'object', additionalProperties: {} }] } } },
    'but tls takes any key.',
  ],
  [
    'by reference',
    {
      properties: { tls: { allOf: [{ $ref: '#/$defs/a~1b' }] } },
      $defs: { 'a/b': { ...closed, patternProperties: {}, additionalProperties: true } },
    },
    'but tls takes any key.',
  ],
])('allOf %s takes what any of its members takes', async (_name, part, words) => {
  const jsonSchema = {
    input: () => ({ type: 'object', properties: { password: {}, groupsFile: {} }, ...part }),
  };
  const schema = {
    '~standard': { version: 1, vendor: 'acme', validate: () => ({ value: {} }), jsonSchema },
  };
  expect((await failures(withSchema(schema)))[named]).toContain(words);
});

test.each([
  [
    'of another library',
    { '~standard': { version: 1, vendor: 'acme', validate() {} } },
    'a schema of acme that makes no JSON Schema',
  ],
  ['that is not a schema', { properties: {} }, 'it is not a Standard Schema'],
  ['that is left out', undefined, 'it is not a Standard Schema'],
])('a schema %s is refused', async (_name, schema, words) => {
  expect((await failures(withSchema(schema)))[shape]).toContain(words);
});

test.each([
  ['exports.default', { __esModule: true, default: good.plugin }],
  ['import * as plugin', { default: good.plugin, other: 1 }],
])('the export of %s is not the plugin, and the message names the fix', async (_name, exported) => {
  const { [shape]: message } = await failures(exported);
  expect(message).toBe(
    'Expected the default export to be the plugin, but it is an object whose default is the plugin, as of a CommonJS module with exports.default. Publish an ES module: "type": "module" in package.json, and `export default plugin` in the code.',
  );
});

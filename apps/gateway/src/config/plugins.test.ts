import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { builtInWords, type PluginError } from './plugin-location.ts';
import { builtInPlugins, type ResolvedPlugin, resolvePlugin } from './plugins.ts';
import { configFolder, pluginSource } from './testing/config-folder.ts';

const good = pluginSource('z.object({ a: z.string().optional() })');

async function failure(use: string, configFile: string): Promise<string> {
  return resolvePlugin(use, configFile).then(
    () => 'resolved',
    (error: PluginError) => `${error.problem} | ${error.fix}`,
  );
}

/** What is wrong with the package @acme/corp, whose code this is. */
async function failureOf(source: string): Promise<string> {
  await using folder = await configFolder();
  await folder.install('@acme/corp', source);
  return await failure('@acme/corp', folder.file);
}

describe('a plugin is found', () => {
  test('as the package of a bare word, next to the config file', async () => {
    await using folder = await configFolder();
    await folder.install('@sallyport/authenticator-probe-two', good);
    const plugin = await resolvePlugin('probe-two', folder.file);
    expect(plugin).toMatchObject({
      use: 'probe-two',
      package: '@sallyport/authenticator-probe-two',
    });
    expect(plugin.optionsSchema).toHaveProperty('properties.a');
  });

  test.each(['@acme/corp', 'acme.corp'])('as the package %s itself', async (name) => {
    await using folder = await configFolder();
    await folder.install(name, good);
    expect(await resolvePlugin(name, folder.file)).toMatchObject({ use: name, package: name });
  });

  test.each(['corp.js', 'plugins/corp.ts'])('as the file %s next to the config', async (name) => {
    await using folder = await configFolder();
    await folder.write('package.json', '{"type":"module"}');
    await folder.write(name, good);
    expect(await resolvePlugin(`./${name}`, folder.file)).toMatchObject({
      package: join(folder.path, name),
    });
    expect(await resolvePlugin(join(folder.path, name), folder.file)).toMatchObject({
      package: join(folder.path, name),
    });
  });

  test('with a createTokenIssuer, when it has one', async () => {
    await using folder = await configFolder();
    await folder.install(
      '@acme/corp',
      pluginSource('z.object({})', 'createTokenIssuer: async () => ({}),'),
    );
    const { plugin } = await resolvePlugin('@acme/corp', folder.file);
    expect(plugin.createTokenIssuer).toBeTypeOf('function');
  });

  test('from the gateway when the config folder has none', async () => {
    await using folder = await configFolder();
    expect(await resolvePlugin('static', folder.file)).toMatchObject({
      plugin: { name: 'static' },
    });
  });

  test('in the config folder before the gateway', async () => {
    await using folder = await configFolder();
    await folder.install('@sallyport/authenticator-static', good);
    expect(await resolvePlugin('static', folder.file)).toMatchObject({ plugin: { name: 'probe' } });
  });

  test('for each folder its own', async () => {
    await using one = await configFolder();
    await using other = await configFolder();
    await one.install('@acme/corp', pluginSource('z.object({})', "name: 'one',"));
    await other.install('@acme/corp', pluginSource('z.object({})', "name: 'other',"));
    const plugins = await Promise.all(
      [one, other].map((folder) => resolvePlugin('@acme/corp', folder.file)),
    );
    expect(plugins.map(({ plugin }) => plugin.name)).toEqual(['one', 'other']);
  });
});

describe('a plugin that is not there is reported:', () => {
  test('a package: without a command that would install whatever has this name', async () => {
    await using folder = await configFolder();
    expect(await failure('@acme/none', folder.file)).toBe(
      `the package @acme/none is not installed | choose an installed plugin (${builtInWords().sort().join(', ')}), a file (./plugin.js), or a package from a publisher you trust (@scope/name), installed in ${folder.path}`,
    );
  });
  test.each([
    { use: 'statik', meant: 'static' },
    { use: 'ldpa', meant: 'ldap' },
    { use: 'Redis', meant: 'redis' },
    { use: 'prob', meant: 'probe' },
    { use: '@sallyport/authenticator-ldpa', meant: '@sallyport/authenticator-ldap' },
    { use: '@salyport/authenticator-probe', meant: '@sallyport/authenticator-probe' },
  ])('a mistyped $use: with the one that was meant', async ({ use, meant }) => {
    await using folder = await configFolder();
    await folder.install('@sallyport/authenticator-probe', good);
    const message = await failure(use, folder.file);
    expect(message).toContain(`| did you mean ${meant}? If not, `);
    expect(message).not.toMatch(/npm|pnpm/);
  });
  test('a word that is near to none: with all that are installed, also in a folder above', async () => {
    await using folder = await configFolder();
    await folder.install('@sallyport/authenticator-probe', good);
    const message = await failure('kerberos', join(folder.path, 'prod/gateway.yaml'));
    const words = [...builtInWords(), 'probe'].sort().join(', ');
    expect(message).toContain(
      `the package @sallyport/authenticator-kerberos is not installed | choose an installed plugin (${words}), a file`,
    );
  });
  test('a file with its path', async () => {
    await using folder = await configFolder();
    expect(await failure('./none.ts', folder.file)).toContain(
      `there is no file ${folder.path}/none.ts`,
    );
  });
  test('a folder in place of a file', async () => {
    await using folder = await configFolder();
    await mkdir(join(folder.path, 'plugin'));
    expect(await failure('./plugin', folder.file)).toContain(
      `there is no file ${folder.path}/plugin | name a file`,
    );
  });
  test.each(['node:fs', 'data:text/javascript,1', 'STATISTICS', 'a b', '@acme', '..'])(
    '%j is not the name of a plugin',
    async (use) => {
      await using folder = await configFolder();
      expect(await failure(use, folder.file)).toContain(
        'is not the name of a plugin | choose an installed plugin',
      );
    },
  );
  test('a package that leads nowhere', async () => {
    await using folder = await configFolder();
    await folder.write(
      'node_modules/@acme/corp/package.json',
      '{"exports": {"./other": "./x.js"}}',
    );
    expect(await failure('@acme/corp', folder.file)).toMatch(
      /^the package @acme\/corp is installed but can't be imported/,
    );
  });
});

describe('the problem of a plugin that can’t be imported has the cause', () => {
  test.each([
    { name: 'a syntax error', source: 'export default {', expected: /SyntaxError/ },
    {
      name: 'a throw',
      source: 'throw new Error("no such table")',
      expected: /Error: no such table \| fix it, and restart/,
    },
    {
      name: 'a missing dependency',
      source: 'import "@acme/dependency"',
      expected: /@acme\/dependency.* \| install its dependencies/s,
    },
    {
      name: 'a throw of no Error',
      source: 'throw null',
      expected: /something that is not an Error was thrown/,
    },
  ])('$name', async ({ source, expected }) => {
    const message = await failureOf(source);
    expect(message).toMatch(/^@acme\/corp can't be imported: /);
    expect(message).toMatch(expected);
  });
});

describe('a plugin that breaks the contract', () => {
  const schema = 'z.object({})';
  test.each([
    [
      'no default export',
      'export const plugin = 1',
      '@acme/corp has no default export | write `export default plugin` in its code',
    ],
    [
      'no version',
      'export default { name: "corp" }',
      'the default export of @acme/corp is not a plugin: it has no specificationVersion',
    ],
    [
      'nothing in it',
      'export default { specificationVersion: 1 }',
      'lacks name (a lowercase word), optionsSchema (a Standard',
    ],
    ['no name', pluginSource(schema, "name: 'No Name',"), 'lacks name (a lowercase word)'],
    ['no create', pluginSource(schema, 'create: 1,'), 'lacks create (a function)'],
    [
      'a createTokenIssuer of another kind',
      pluginSource(schema, 'createTokenIssuer: true,'),
      'lacks createTokenIssuer (a function, or left out)',
    ],
    ['caching', pluginSource(schema, "caching: 'all',"), 'lacks caching (none, memory, shared)'],
    [
      'a schema that JSON can’t say',
      pluginSource('z.object({ a: z.date() })'),
      "can't be written as JSON Schema",
    ],
    [
      'a newer contract',
      pluginSource(schema, 'specificationVersion: 2,'),
      'has specificationVersion 2, this gateway needs 1 | upgrade the gateway or @acme/corp, whichever has the lower number',
    ],
    [
      'a function, as of another framework',
      'export default function app() {}',
      'the default export of @acme/corp is not',
    ],
    [
      'a version of another kind',
      pluginSource(schema, "specificationVersion: '1',"),
      'has specificationVersion "1", this gateway needs 1 | upgrade',
    ],
    [
      'a schema of zod 3.24 or later',
      pluginSource(schema).replace("from 'zod'", "from 'zod/v3'"),
      'lacks optionsSchema (a Standard Schema that is a Standard JSON Schema too, such as those of zod from 4.2 on)',
    ],
    [
      'a schema of zod 3 before 3.24',
      pluginSource("{ _def: { typeName: 'ZodObject' }, parse() {} }"),
      'lacks optionsSchema (a Standard Schema that is a Standard JSON Schema too, such as those of zod from 4.2 on)',
    ],
    ...[
      'z.looseObject({ a: z.string() })',
      'z.object({}).catchall(z.string())',
      'z.record(z.string(), z.string())',
      'z.any()',
    ].map((lax) => [
      `a schema that takes any key, ${lax}`,
      pluginSource(lax),
      'the optionsSchema of @acme/corp takes any key, so that a misspelt option would be ignored without a message | name each option: write z.strictObject({ … }) instead of',
    ]),
    [
      'a choice of schemas of which one takes any key',
      pluginSource(
        'z.union([z.strictObject({ a: z.string() }), z.looseObject({ b: z.string() })])',
      ),
      'the optionsSchema of @acme/corp takes any key',
    ],
  ])('%s', async (_name, source, expected) => {
    const message = await failureOf(source);
    expect(message).toContain('@acme/corp');
    expect(message).toContain(expected);
  });
});

describe('a plugin that is a CommonJS module', () => {
  const esModule =
    'publish an ES module: "type": "module" in its package.json, and `export default plugin` in its code';
  const commonJs = (exported: string) =>
    pluginSource('z.strictObject({})')
      .replace(/^import .*/, "const { z } = require('zod');")
      .replace('export default', exported);

  test('as a compiler writes it, with exports.default: how to publish it', async () => {
    await using folder = await configFolder();
    // As Node imports a CommonJS module: of such a one itself, Vitest would give the inner default.
    const imported = pluginSource('z.strictObject({})').replace('export default', 'const plugin =');
    await folder.write('corp.mjs', `${imported}export default { default: plugin };`);
    expect(await failure('./corp.mjs', folder.file)).toBe(
      `the default export of ${folder.path}/corp.mjs is a CommonJS module, with the plugin in its exports.default | ${esModule}`,
    );
  });

  test.each(['module.exports =', 'exports.default ='])(
    'written as an ES module, %s: the same',
    async (exported) => {
      const message = await failureOf(
        pluginSource('z.strictObject({})').replace('export default', exported),
      );
      expect(message).toMatch(/can't be imported: ReferenceError: \w+ is not defined/);
      expect(message).toContain(esModule);
    },
  );

  test('with module.exports works: an import gives it as the default', async () => {
    await using folder = await configFolder();
    await folder.write('corp.cjs', commonJs('module.exports ='));
    expect(await resolvePlugin('./corp.cjs', folder.file)).toMatchObject({
      plugin: { name: 'probe' },
    });
  });
});

describe('the digest of a plugin', () => {
  test('is that of the code that runs, whatever is on disk by now', async () => {
    await using folder = await configFolder();
    await folder.write('package.json', '{"type":"module"}');
    await folder.write('corp.js', good);
    const { digest } = await resolvePlugin('./corp.js', folder.file);
    await folder.write('corp.js', `${good}// edited`);
    expect(await resolvePlugin('./corp.js', folder.file)).toMatchObject({ digest });
    await folder.write('copy.js', `${good}// edited`);
    expect((await resolvePlugin('./copy.js', folder.file)).digest).not.toBe(digest);
  });

  test('of a package follows its manifest, which has its version', async () => {
    await using folder = await configFolder();
    await using other = await configFolder();
    for (const one of [folder, other]) await one.install('@acme/corp', good);
    const manifest = {
      name: '@acme/corp',
      version: '1.0.1',
      type: 'module',
      exports: { import: './index.js' },
    };
    await other.write('node_modules/@acme/corp/package.json', JSON.stringify(manifest));
    const [{ digest }, { digest: newer }] = (await Promise.all(
      [folder, other].map((one) => resolvePlugin('@acme/corp', one.file)),
    )) as [ResolvedPlugin, ResolvedPlugin];
    expect(newer).not.toBe(digest);
  });

  test('of a file takes no notice of the manifest next to it', async () => {
    const digests = await Promise.all(
      ['1.0.0', '1.0.1'].map(async (version) => {
        await using folder = await configFolder();
        await folder.write('package.json', JSON.stringify({ type: 'module', version }));
        await folder.write('corp.js', good);
        return (await resolvePlugin('./corp.js', folder.file)).digest;
      }),
    );
    expect(new Set(digests).size).toBe(1);
  });
});

test('the built-in plugins are those of the manifest', async () => {
  const plugins = await builtInPlugins();
  expect(plugins.map(({ use, plugin }) => [use, plugin.name])).toContainEqual(['static', 'static']);
});

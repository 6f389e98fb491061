import type { StandardSchemaV1 } from '@standard-schema/spec';
import { recordingContext } from '../context.ts';
import type { BadOptions } from '../harness.ts';
import { authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import { verifySome } from '../samples.ts';
import { outcomeOf, verify } from '../verify.ts';
import { schemaProblem } from './schema.ts';

const cachings: readonly unknown[] = ['none', 'memory', 'shared'];

/** Fails on what an import gives for a CommonJS module with `exports.default`, and for `import * as plugin`. */
function verifyNotModule(plugin: object): void {
  const { default: inner, specificationVersion } = plugin as {
    default?: unknown;
    specificationVersion?: unknown;
  };
  verify(specificationVersion !== undefined || typeof inner !== 'object' || inner === null, {
    expected: 'the default export to be the plugin',
    got: 'it is an object whose default is the plugin, as of a CommonJS module with exports.default',
    why: 'Publish an ES module: "type": "module" in package.json, and `export default plugin` in the code.',
  });
}

export const pluginShapeCases: readonly CaseDefinition[] = [
  {
    name: 'the plugin has the shape that the gateway loads',
    async run(kit) {
      const { specificationVersion, name, caching, create, createTokenIssuer, optionsSchema } =
        kit.harness.plugin;
      verifyNotModule(kit.harness.plugin);
      const why = 'The gateway refuses any other default export when it starts.';
      const isWord = typeof name === 'string' && /^[a-z][a-z0-9]*$/.test(name);
      const isIssuer = createTokenIssuer === undefined || typeof createTokenIssuer === 'function';
      const parts = [
        [specificationVersion === 1, 'specificationVersion to be 1', specificationVersion],
        [
          isWord,
          'name to be one word of lowercase letters and digits, for the names of its metrics',
          name,
        ],
        [cachings.includes(caching), "caching to be 'none', 'memory' or 'shared'", caching],
        [typeof create === 'function', 'create to be a function', create],
        [isIssuer, 'createTokenIssuer to be a function or left out', createTokenIssuer],
      ] as const;
      for (const [isRight, expected, part] of parts)
        verify(isRight, { expected, got: `it is ${kit.show(part)}`, why });
      const problem = schemaProblem(optionsSchema);
      verify(problem === undefined, {
        expected: 'optionsSchema to be a Standard Schema and a Standard JSON Schema',
        got: problem?.got ?? '',
        why: `${why} ${problem?.fix}`,
      });
    },
  },
  authenticatorCase(
    'create() gives an authenticator with its methods',
    async (kit, authenticator) => {
      for (const method of ['authenticate', 'close', 'recognizes', 'check'] as const) {
        const isOptional = method === 'recognizes' || method === 'check';
        const value: unknown = authenticator[method];
        verify(typeof value === 'function' || (isOptional && value === undefined), {
          expected: `${method} to be a function${isOptional ? ' or left out' : ''}`,
          got: `it is ${kit.show(value)}`,
          why: 'The gateway calls these on every authenticator.',
        });
      }
    },
  ),
];

/** @returns the places and messages with which the schema or `create` refuses the options; undefined when they accept them */
export async function problemsOf(
  kit: Kit,
  { options }: BadOptions,
): Promise<readonly string[] | undefined> {
  const { plugin, baseDirectory } = kit.harness;
  const result = await plugin.optionsSchema['~standard'].validate(options);
  if (result.issues !== undefined)
    return result.issues.flatMap((issue) => [placeOf(issue), issue.message]);
  const { context } = recordingContext({ pluginName: plugin.name, baseDirectory });
  const made = await outcomeOf(() => plugin.create(result.value, context));
  if ('value' in made) {
    await kit.close(made.value);
    return undefined;
  }
  return [made.error instanceof Error ? made.error.message : String(made.error)];
}

function placeOf({ path = [] }: StandardSchemaV1.Issue): string {
  return path
    .map((segment) => String(typeof segment === 'object' ? segment.key : segment))
    .join('.');
}

/** Returns whether the text names the key, by a whole word: "urls" does not name "url". */
function names(text: string, key: string): boolean {
  const literal = key.replace(/[^\w-]/g, '\\$&');
  return new RegExp(`(?<![\\w-])${literal}(?![\\w-])`).test(text);
}

export const optionsCases: readonly CaseDefinition[] = [
  {
    name: 'bad options are refused with the key that is wrong',
    async run(kit) {
      const { badOptions } = kit.harness;
      verifySome(badOptions, 'badOptions');
      for (const bad of badOptions) {
        const problems = await problemsOf(kit, bad);
        verify(problems !== undefined, {
          expected: `options with a bad "${bad.key}" to be refused`,
          got: 'optionsSchema and create() both accepted them',
          why: "Options that can't work must stop the gateway at its start, and not fail each login later.",
        });
        const isNamed = problems.some((place) => names(place, bad.key));
        verify(isNamed, {
          expected: `the error to name the key "${bad.key}"`,
          got: `it says ${kit.show(problems)}`,
          why: 'The operator has a whole file to search, at night.',
        });
      }
    },
  },
];

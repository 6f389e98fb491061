import type { StandardSchemaV1 } from '@standard-schema/spec';
import { recordingContext } from '../context.ts';
import type { BadOptions } from '../harness.ts';
import { authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import { verifySome } from '../samples.ts';
import { catchOutcome, verify } from '../verify.ts';
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
    actual:
      'it is an object whose default is the plugin, as of a CommonJS module with exports.default',
    rationale:
      'Publish an ES module: "type": "module" in package.json, and `export default plugin` in the code.',
  });
}

export const pluginShapeCases: readonly CaseDefinition[] = [
  {
    name: 'the plugin has the shape that the gateway loads',
    async run(kit) {
      const { specificationVersion, name, caching, create, createTokenIssuer, optionsSchema } =
        kit.harness.plugin;
      verifyNotModule(kit.harness.plugin);
      const rationale = 'The gateway refuses any other default export when it starts.';
      const isWord = typeof name === 'string' && /^[a-z][a-z0-9]*$/.test(name);
      const isIssuer = createTokenIssuer === undefined || typeof createTokenIssuer === 'function';
      const requirements = [
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
      for (const [isRight, expected, actualValue] of requirements)
        verify(isRight, { expected, actual: `it is ${kit.show(actualValue)}`, rationale });
      const problem = schemaProblem(optionsSchema);
      verify(problem === undefined, {
        expected: 'optionsSchema to be a Standard Schema and a Standard JSON Schema',
        actual: problem?.actual ?? '',
        rationale: `${rationale} ${problem?.fix}`,
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
          actual: `it is ${kit.show(value)}`,
          rationale: 'The gateway calls these on every authenticator.',
        });
      }
    },
  ),
];

/** @returns the places and messages with which the schema or `create` refuses the options; undefined when they accept them */
export async function findProblems(
  kit: Kit,
  { options }: BadOptions,
): Promise<readonly string[] | undefined> {
  const { plugin, baseDirectory } = kit.harness;
  const result = await plugin.optionsSchema['~standard'].validate(options);
  if (result.issues !== undefined)
    return result.issues.flatMap((issue) => [writePlace(issue), issue.message]);
  const { context } = recordingContext({ pluginName: plugin.name, baseDirectory });
  const created = await catchOutcome(() => plugin.create(result.value, context));
  if ('value' in created) {
    await kit.close(created.value);
    return undefined;
  }
  return [created.error instanceof Error ? created.error.message : String(created.error)];
}

function writePlace({ path = [] }: StandardSchemaV1.Issue): string {
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
      for (const badOption of badOptions) {
        const problems = await findProblems(kit, badOption);
        verify(problems !== undefined, {
          expected: `options with a bad "${badOption.key}" to be refused`,
          actual: 'optionsSchema and create() both accepted them',
          rationale:
            "Options that can't work must stop the gateway at its start, and not fail each login later.",
        });
        const isNamed = problems.some((place) => names(place, badOption.key));
        verify(isNamed, {
          expected: `the error to name the key "${badOption.key}"`,
          actual: `it says ${kit.show(problems)}`,
          rationale: 'The operator has a whole file to search, at night.',
        });
      }
    },
  },
];

import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { CaseDefinition } from './case-definition.ts';
import { recordingContext } from './context.ts';
import type { BadOptions } from './harness.ts';
import type { Kit } from './kit.ts';
import { verifySome } from './samples.ts';
import { fail, outcomeOf, verify } from './verdict.ts';

const describesItself: CaseDefinition = {
  name: 'optionsSchema describes the options as a JSON Schema',
  async run(kit) {
    const { harness } = kit;
    const { jsonSchema } = harness.plugin.optionsSchema['~standard'];
    const made = await outcomeOf(() => jsonSchema.input({ target: 'draft-2020-12' }));
    const why = 'Editors complete gateway.yaml from it, and the gateway finds misspelt keys by its properties.';
    const expected = 'jsonSchema.input() to give a schema of type object with properties';
    if ('error' in made) return fail({ expected, got: `it threw ${kit.tell(made.error)}`, why });
    const { type, properties } = made.value;
    const listed = typeof properties === 'object' && properties !== null && !Array.isArray(properties);
    verify(type === 'object' && listed, { expected, got: `it gave ${kit.tell(made.value)}`, why });
    const missing = Object.keys(Object(harness.options)).filter((key) => !Object.hasOwn(properties, key));
    const got = `${missing.join(', ')} of the good options is not among them`;
    verify(missing.length === 0, { expected: 'every option to be among properties', got, why });
  },
};

const badOptionsNamed: CaseDefinition = {
  name: 'bad options are refused with the key that is wrong',
  async run(kit) {
    const { badOptions } = kit.harness;

    verifySome(badOptions, 'badOptions');
    for (const bad of badOptions) {
      const complaint = await complaintAbout(kit, bad);
      verify(complaint !== undefined, {
        expected: `options with a bad "${bad.key}" to be refused`,
        got: 'optionsSchema and create() both took them',
        why: 'What can not work must stop the gateway at its start, not each login later.',
      });
      verify(
        complaint.some((place) => names(place, bad.key)),
        {
          expected: `the error to name the key "${bad.key}"`,
          got: `it says ${kit.tell(complaint)}`,
          why: 'The operator has a whole file to look through, at night.',
        },
      );
    }
  },
};

/** What schema or `create` say against the options: places and messages. Undefined when they say nothing. */
export async function complaintAbout(kit: Kit, { options }: BadOptions): Promise<readonly string[] | undefined> {
  const { plugin, baseDirectory } = kit.harness;
  const result = await plugin.optionsSchema['~standard'].validate(options);
  if (result.issues !== undefined) return result.issues.flatMap((issue) => [placeOf(issue), issue.message]);
  const { context } = recordingContext({ pluginName: plugin.name, baseDirectory });
  const made = await outcomeOf(() => plugin.create(result.value, context));
  if ('value' in made) {
    await kit.close(made.value);
    return undefined;
  }
  return [made.error instanceof Error ? made.error.message : String(made.error)];
}

function placeOf({ path = [] }: StandardSchemaV1.Issue): string {
  return path.map((segment) => String(typeof segment === 'object' ? segment.key : segment)).join('.');
}

/** Whole words only: "url" is not named by "urls". */
function names(text: string, key: string): boolean {
  const literal = key.replace(/[^\w-]/g, '\\$&');
  return new RegExp(`(?<![\\w-])${literal}(?![\\w-])`).test(text);
}

export const optionsCases: readonly CaseDefinition[] = [describesItself, badOptionsNamed];

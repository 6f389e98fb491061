import { testReadme } from '@sallyport/scripts/readme-options';
import { parse } from 'yaml';
import { optionsSchema } from './options.ts';
import { complaints } from './testing/written-options.ts';

const schema: Parameters<typeof testReadme>[0]['jsonSchema'] = optionsSchema[
  '~standard'
].jsonSchema.input({
  target: 'draft-2020-12',
});

testReadme({
  readme: new URL('../README.md', import.meta.url),
  jsonSchema: schema.properties?.issuers?.items ?? {},
  defaults: {
    algorithms: undefined,
    credentialId: 'false',
    'claimMappings.username.prefix': undefined,
    'claimMappings.groups.prefix': undefined,
  },
  // Keys of CEL are in the schema for their message only.
  isHidden: (option) => /expression$|^userValidationRules$/i.test(option),
  parse,
  optionsIn: ({
    authenticators,
    options,
  }: {
    authenticators: { options: unknown }[];
    options?: unknown;
  }) => [options ?? authenticators[0]?.options],
  examples: 2,
  complaints,
});

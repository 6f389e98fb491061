import { testReadme } from '@sallyport/scripts/readme-options';
import { parse } from 'yaml';
import { optionsSchema } from './options.ts';
import { complaints } from './testing/written-options.ts';

testReadme({
  readme: new URL('../README.md', import.meta.url),
  jsonSchema: optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' }),
  defaults: { insecure: 'false' },
  parse,
  optionsIn: ({ authenticators: [one] }: { authenticators: { options: unknown }[] }) => [
    one?.options,
  ],
  examples: 2,
  complaints,
});

import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { codeBlocksOf } from '@sallyport/test/documents';
import { parse } from 'yaml';

/** The parts of a JSON Schema that are read here. */
interface Described {
  readonly default?: unknown;
  readonly items?: Described;
  readonly properties?: Readonly<Record<string, Described>>;
}

/** The schema of a plugin's options, or of one entry of `list` if they are one. */
export function schemaOf(
  { optionsSchema }: AuthenticatorPlugin<unknown>,
  list?: string,
): Described {
  const schema: Described = optionsSchema['~standard'].jsonSchema.input({
    target: 'draft-2020-12',
  });
  return (list === undefined ? schema : schema.properties?.[list]?.items) ?? {};
}

/** Lists every option without options below it, with dots where it is nested, and its default. */
export function optionsOfSchema(
  { properties = {} }: Described,
  path = '',
): [option: string, fallback: unknown][] {
  return Object.entries(properties).flatMap(([key, inner]): [string, unknown][] =>
    inner.properties === undefined
      ? [[path + key, inner.default]]
      : optionsOfSchema(inner, `${path}${key}.`),
  );
}

/** Lists the options that begin an item of a list, in bold. An item may have several, and as many defaults in parentheses. */
export function optionsOfReadme(readme: string): [option: string, fallback: string | undefined][] {
  const items = readme.matchAll(/^- (\*\*`.*?`\*\*)(?: \(default(.*?)\))?: /gm);
  return [...items].flatMap(([, keys = '', defaults = '']) => {
    const values = [...defaults.matchAll(/`([^`]*)`/g)].map(([, value]) => value);
    return [...keys.matchAll(/`([^`]*)`/g)].map(
      ([, key = ''], index): [string, string | undefined] => [key, values[index]],
    );
  });
}

/** The blocks of YAML in a README. */
export const yamlIn = (readme: string): readonly string[] =>
  codeBlocksOf(readme).flatMap(({ language, text }) => (language === 'yaml' ? [text] : []));

/** A block of YAML in a README: authenticators, or options alone. */
interface Example {
  readonly authenticators?: readonly { readonly options: object }[];
  readonly options?: object;
}

/** Finds the options in the examples of a README, with values for secrets, as the gateway passes them to the plugin. */
export function examplesIn(readme: string): readonly object[] {
  const blocks = yamlIn(readme).map((text): Example => parse(text));
  return blocks
    .flatMap(
      (block) => block.authenticators?.map(({ options }) => options) ?? block.options ?? block,
    )
    .map((options) => withSecrets(options) as object);
}

/** Replaces `{ env }` and `{ file }` by values. */
function withSecrets(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((entry) => withSecrets(entry));
  if (typeof value !== 'object' || value === null) return value;
  const [name = '', ...others] = Object.keys(value);
  if (others.length === 0 && (name === 'env' || name === 'file')) {
    return key === 'url' ? 'rediss://gateway:from-a-file@redis.example.com:6379' : 'from a file';
  }
  return Object.fromEntries(
    Object.entries(value).map(([inner, entry]) => [inner, withSecrets(entry, inner)]),
  );
}

/** Lists what a plugin says against options. */
export async function complaintsOf(
  { optionsSchema }: AuthenticatorPlugin<unknown>,
  options: object,
): Promise<readonly string[]> {
  const { issues = [] } = await optionsSchema['~standard'].validate(options);
  return issues.map(({ path = [], message }) => `${path.join('.')}: ${message}`);
}

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** The parts of a JSON Schema that are read here. */
interface Described {
  readonly default?: unknown;
  readonly items?: Described;
  readonly properties?: Readonly<Record<string, Described>>;
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

interface DocumentedPlugin {
  /** `new URL('../README.md', import.meta.url)` */
  readonly readme: URL;
  /** The schema of the options, or of one entry if they are a list. */
  readonly jsonSchema: Described;
  /** Defaults as the README writes them, for options that have another default in the schema, or none. */
  readonly defaults?: Readonly<Record<string, string | undefined>>;
  /** Options of the schema that the README does not have. */
  readonly isHidden?: (option: string) => boolean;
  /** `parse` of the package yaml. */
  readonly parse: (yaml: string) => unknown;
  /** The options in a block of YAML, ready for the schema. */
  readonly optionsIn: (block: never) => readonly unknown[];
  /** The number of options of all blocks. */
  readonly examples: number;
  /** Returns the complaints of the schema about options. */
  readonly complaints: (options: unknown) => readonly string[];
}

/** Defines the tests of a plugin's README: its lists have all options with their defaults, and its examples are valid. */
export function testReadme(plugin: DocumentedPlugin): void {
  const readme = readFileSync(plugin.readme, 'utf8');
  const { defaults = {}, isHidden = () => false } = plugin;

  function shown(option: string, fallback: unknown): string | undefined {
    if (Object.hasOwn(defaults, option)) return defaults[option];
    if (Array.isArray(fallback)) return JSON.stringify(fallback);
    return fallback === '' ? undefined : fallback?.toString();
  }

  test('the README has every option with its default, and no other', () => {
    const options = optionsOfSchema(plugin.jsonSchema).filter(([option]) => !isHidden(option));
    const expected = options.map(([option, fallback]) => [option, shown(option, fallback)]);
    expect(optionsOfReadme(readme).sort()).toEqual(expected.sort());
  });

  test('the options in the README are valid', () => {
    const blocks = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(([, block = '']) =>
      plugin.parse(block),
    );
    const all = blocks.flatMap((block) => plugin.optionsIn(block as never));
    expect(all).toHaveLength(plugin.examples);
    for (const options of all) expect(plugin.complaints(options)).toEqual([]);
  });
}

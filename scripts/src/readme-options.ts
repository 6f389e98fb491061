/** The keys and defaults of a JSON Schema. */
interface Described {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Described>>;
}

/** Every option without options below it, with dots where it is nested, and its default. */
export function optionsOfSchema({ properties = {} }: Described, path = ''): [option: string, fallback: unknown][] {
  return Object.entries(properties).flatMap(([key, inner]): [string, unknown][] =>
    inner.properties === undefined ? [[path + key, inner.default]] : optionsOfSchema(inner, `${path}${key}.`),
  );
}

/** The same from tables with the head "Key, Default". A row may have several keys, and as many defaults. */
export function optionsOfReadme(readme: string): [option: string, fallback: string | undefined][] {
  const tables = readme.match(/^\| Key \| Default \| \|\n(?:\|.*\n)+/gm) ?? [];
  const rows = tables.flatMap((table) => table.trim().split('\n').slice(2));
  return rows.flatMap((row) => {
    const [, keys = '', defaults = ''] = row.split('|');
    const values = [...defaults.matchAll(/`([^`]*)`/g)].map(([, value]) => value);
    return [...keys.matchAll(/`([^`]*)`/g)].map(([, key = ''], index): [string, string | undefined] => [
      key,
      values[index],
    ]);
  });
}

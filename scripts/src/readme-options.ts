/** A JSON Schema, as far as its keys and defaults go. */
interface Described {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Described>>;
}

/** Every option that has none below it, dotted where it is nested, with its default. */
export function optionsOfSchema({ properties = {} }: Described, path = ''): [option: string, fallback: unknown][] {
  return Object.entries(properties).flatMap(([key, inner]): [string, unknown][] =>
    inner.properties === undefined ? [[path + key, inner.default]] : optionsOfSchema(inner, `${path}${key}.`),
  );
}

/** The same from tables whose head is "Key, Default": a row may have several keys, and as many defaults. */
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

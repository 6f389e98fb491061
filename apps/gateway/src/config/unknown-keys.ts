import { type Path, type Problem, suggestNearest } from './problems.ts';
import { findParts, type JsonSchema } from './schema-parts.ts';

/**
 * Finds the keys of a value that its JSON Schema does not name. It works for every schema library, also for those that drop
 * unknown keys silently. It skips maps of free keys (`additionalProperties`, `patternProperties`) and values that the schema
 * does not describe. Keys that only the validator refuses are left to it.
 */
export function unknownKeys(schema: JsonSchema, value: unknown, path: Path): Problem[] {
  return [...findParts(schema, value, path)].flatMap(({ path, knownKeys }) => {
    if (knownKeys === undefined) return [];
    const listed =
      knownKeys.length === 0
        ? 'remove it: no key is known here'
        : `write one of: ${knownKeys.join(', ')}`;
    return [
      {
        path,
        message: 'unknown key',
        fix: suggestNearest(String(path.at(-1)), knownKeys, listed),
        at: 'key',
      },
    ];
  });
}

import { findSynonym } from './key-synonyms.ts';
import { isObject, nearest, overlaps, type Path, type Problem, valueAt } from './problems.ts';
import { findParts, type JsonSchema } from './schema-parts.ts';

/** An unknown key, and what was most likely meant. */
export interface UnknownKey extends Problem {
  /** The path of the known key that was meant. Left out: none is near. */
  readonly meant?: Path;
}

/**
 * Finds the keys of a value that its JSON Schema does not name. It works for every schema library, also for those that drop
 * unknown keys silently. It skips maps of free keys (`additionalProperties`, `patternProperties`) and values that the schema
 * does not describe. Keys that only the validator refuses are left to it.
 *
 * @param findPlace returns where a key belongs that is known somewhere else
 */
export function unknownKeys(
  schema: JsonSchema,
  value: unknown,
  path: Path,
  findPlace?: (path: Path) => string | undefined,
): UnknownKey[] {
  return [...findParts(schema, value, path)].flatMap(({ path, knownKeys }): UnknownKey[] => {
    if (knownKeys === undefined) return [];
    const key = String(path.at(-1));
    const problem = { path, message: 'unknown key', at: 'key' } as const;
    const place = findPlace?.(path);
    const synonym = place === 'into options' ? undefined : findSynonym(key, knownKeys);
    if (synonym !== undefined)
      return [{ ...problem, fix: synonym.fix, meant: [...path.slice(0, -1), synonym.key] }];
    const near = nearest(key, knownKeys);
    if (near !== undefined)
      return [{ ...problem, fix: `did you mean ${near}?`, meant: [...path.slice(0, -1), near] }];
    const secret = /^(.+)File$/.exec(key)?.[1];
    if (secret !== undefined && knownKeys.includes(secret)) {
      const fix = `write ${secret}: { file: PATH }`;
      return [{ ...problem, fix, meant: [...path.slice(0, -1), secret] }];
    }
    // `ttl` in a section with `authenticatedTtl` does not belong to another section.
    const isPart = knownKeys.some((name) => name.toLowerCase().endsWith(key.toLowerCase()));
    return [
      { ...problem, fix: place && !isPart ? `move it ${place}` : describeKnown(path, knownKeys) },
    ];
  });
}

function describeKnown(path: Path, knownKeys: readonly string[]): string {
  const key = String(path.at(-1));
  if (key === '<<') return 'write the keys here: YAML 1.2 has no merge key';
  if (/^(enabled?|disabled?)$/.test(key))
    return 'remove it: what is in the file is enabled, so to disable a section or an entry, remove it';
  if (knownKeys.length === 0) return 'remove it: no key is known here';
  const backends = path.length === 1 ? '. A backend is an entry of authenticators, with use' : '';
  return `remove it, or write one of: ${knownKeys.join(', ')}${backends}`;
}

/**
 * Finds where a key of the file belongs.
 *
 * @param schema of the whole file
 * @param path where it is unknown
 * @param optionsSchemas of the plugin of each authenticator
 */
export function findKey(
  schema: JsonSchema,
  path: Path,
  optionsSchemas: readonly (JsonSchema | undefined)[],
): string | undefined {
  const [section, index] = path;
  const key = String(path.at(-1));
  const hasKey = (inner: unknown) =>
    isObject(inner) && isObject(inner.properties) && Object.hasOwn(inner.properties, key);
  if (section === 'authenticators' && path.length === 3 && hasKey(optionsSchemas[Number(index)]))
    return 'into options';
  if (section === 'authenticators' && path.length === 3) {
    const entryKeys = valueAt(schema, ['properties', 'authenticators', 'items', 'properties']);
    const names = isObject(entryKeys)
      ? Object.keys(entryKeys).filter((name) => hasKey(entryKeys[name]))
      : [];
    if (names.length > 0) return `into ${names.join(' or ')}, as ${names[0]}: { ${key}: … }`;
  }
  if (hasKey(schema)) return 'to the top level';
  const sections = isObject(schema.properties) ? Object.entries(schema.properties) : [];
  const names = sections.flatMap(([name, sectionSchema]) => (hasKey(sectionSchema) ? [name] : []));
  return names.length === 0 ? undefined : `to the section ${names.join(' or ')}`;
}

/** Finds whether a key of options belongs to the authenticator itself. @param schema of the whole file */
export function findEntryKey(schema: JsonSchema, path: Path): string | undefined {
  const entry = valueAt(schema, ['properties', 'authenticators', 'items', 'properties']);
  return isObject(entry) && Object.hasOwn(entry, String(path.at(-1)))
    ? 'out of options, next to use'
    : undefined;
}

/**
 * Leaves out the problems that go away with the spelling of an unknown key: what was meant is missing, and what it contains is not found.
 *
 * @param isWritten whether the file has a value there
 */
export function withoutEffects(
  problems: readonly Problem[],
  unknownKeyProblems: readonly UnknownKey[],
  isWritten: (path: Path) => boolean,
): Problem[] {
  const absent = unknownKeyProblems.flatMap(({ meant }) =>
    meant === undefined || isWritten(meant) ? [] : [meant],
  );
  return problems.filter((problem) => !absent.some((path) => isEffect(problem, path)));
}

function isEffect({ path, message, fix = '' }: Problem, absent: Path): boolean {
  // Its fix names the key that was meant.
  if (message === 'unknown key') return false;
  const parent = absent.slice(0, -1);
  if (path.length > parent.length && overlaps(path, absent)) return true;
  const words = path.length === parent.length ? `${message} ${fix}` : message;
  const isNear = path.length === parent.length || path.length === absent.length;
  return isNear && overlaps(path, parent) && words.includes(String(absent.at(-1)));
}

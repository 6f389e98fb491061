import { nearest } from './nearest.ts';
import type { Path, Problem } from './problems.ts';

/** A JSON Schema from the library of a plugin: it may contain anything. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * Finds the keys of a value that its JSON Schema does not name. It works for every schema library, also for those that drop
 * unknown keys silently. It skips maps of free keys (`additionalProperties`, `patternProperties`) and values that the schema
 * does not describe. Keys that only the validator refuses are left to it.
 *
 * @param path of the value in the file
 */
export function unknownKeys(schema: JsonSchema, value: unknown, path: Path): Problem[] {
  return walk([schema], value, path, schema);
}

/**
 * Finds the texts of a value that are secrets: their schema says `writeOnly`, or they are URLs with a password.
 *
 * @param path of the value in the file
 */
export function secretTexts(schema: JsonSchema, value: unknown, path: Path): Path[] {
  const walkTexts = (schemas: readonly JsonSchema[], inner: unknown, at: Path): Path[] => {
    const parts = schemas.flatMap((one) => alternatives(one, inner, schema));
    if (typeof inner === 'string') {
      const isSecret = parts.some(({ writeOnly }) => writeOnly === true) || (URL.parse(inner)?.password ?? '') !== '';
      return isSecret && inner !== '' ? [at] : [];
    }
    if (Array.isArray(inner)) {
      return inner.flatMap((item, index) => walkTexts(itemSchemas(parts, index), item, [...at, index]));
    }
    if (!isObject(inner)) return [];
    const { known, open = [] } = describedKeys(parts);
    return Object.entries(inner).flatMap(([key, child]) => walkTexts(known.get(key) ?? open, child, [...at, key]));
  };
  return walkTexts([schema], value, path);
}

function walk(schemas: readonly JsonSchema[], value: unknown, path: Path, root: JsonSchema): Problem[] {
  const parts = schemas.flatMap((schema) => alternatives(schema, value, root));
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => walk(itemSchemas(parts, index), item, [...path, index], root));
  }
  if (!isObject(value)) return [];
  const { known, open } = describedKeys(parts);
  return Object.entries(value).flatMap(([key, child]) => {
    const childPath = [...path, key];
    const inner = known.get(key);
    if (inner) return walk(inner, child, childPath, root);
    if (open) return walk(open, child, childPath, root);
    return [unknownKey(childPath, key, [...known.keys()])];
  });
}

function unknownKey(path: Path, key: string, known: readonly string[]): Problem {
  const near = nearest(key, known);
  const listed = known.length === 0 ? 'no key is known here' : `known here: ${known.join(', ')}`;
  return { path, message: 'unknown key', fix: near === undefined ? listed : `did you mean ${near}?`, at: 'key' };
}

/** The keys that the parts name, with their schemas. `open`: the schemas of any other key, undefined if none is allowed. */
function describedKeys(parts: readonly JsonSchema[]): {
  known: Map<string, JsonSchema[]>;
  open: JsonSchema[] | undefined;
} {
  const known = new Map<string, JsonSchema[]>();
  const open: JsonSchema[] = [];
  let closed = false;
  let free = false;
  for (const part of parts) {
    for (const [key, schema] of Object.entries(isObject(part.properties) ? part.properties : {})) {
      known.set(key, [...(known.get(key) ?? []), ...(isObject(schema) ? [schema] : [])]);
    }
    const rest = part.additionalProperties;
    if (rest === true || isObject(rest) || isObject(part.patternProperties)) free = true;
    if (isObject(rest)) open.push(rest);
    if (isObject(part.properties) || rest === false) closed = true;
  }
  return { known, open: free || !closed ? open : undefined };
}

function itemSchemas(parts: readonly JsonSchema[], index: number): JsonSchema[] {
  return parts.flatMap((part) => {
    const prefix = Array.isArray(part.prefixItems) ? part.prefixItems : [];
    const schema: unknown = index < prefix.length ? prefix[index] : part.items;
    return isObject(schema) ? [schema] : [];
  });
}

/** A schema with all that apply together with it: references followed, and the branches that can fit the value. */
function alternatives(
  schema: JsonSchema,
  value: unknown,
  root: JsonSchema,
  seen: readonly JsonSchema[] = [],
): JsonSchema[] {
  if (seen.includes(schema)) return [];
  const follow = (inner: unknown) => (isObject(inner) ? alternatives(inner, value, root, [...seen, schema]) : []);
  const branches = ['anyOf', 'oneOf'].flatMap((keyword) => fitting(asList(schema[keyword]), value, root));
  const always = [...asList(schema.allOf), schema.then, schema.else, resolveReference(schema.$ref, root)];
  return [schema, ...always.flatMap(follow), ...branches.flatMap(follow)];
}

/** The branches that no discriminator rules out; all of them if it rules out all. */
function fitting(branches: readonly unknown[], value: unknown, root: JsonSchema): readonly unknown[] {
  const left = branches.filter((branch) => isObject(branch) && !contradicts(branch, value, root));
  return left.length > 0 ? left : branches;
}

function contradicts(branch: JsonSchema, value: unknown, root: JsonSchema): boolean {
  const schema = resolveReference(branch.$ref, root) ?? branch;
  if (!isObject(value)) return false;
  if (typeof schema.type === 'string' && schema.type !== 'object') return true;
  return Object.entries(isObject(schema.properties) ? schema.properties : {}).some(([key, property]) => {
    if (!isObject(property) || !Object.hasOwn(value, key)) return false;
    if ('const' in property) return property.const !== value[key];
    return Array.isArray(property.enum) && !property.enum.includes(value[key]);
  });
}

/** Only references within the schema itself are followed: `#` and `#/$defs/name`. */
function resolveReference(reference: unknown, root: JsonSchema): JsonSchema | undefined {
  if (typeof reference !== 'string' || !reference.startsWith('#')) return undefined;
  let target: unknown = root;
  for (const step of decodeURIComponent(reference.slice(1)).split('/').slice(1)) {
    target = isObject(target) ? target[step.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined;
  }
  return isObject(target) ? target : undefined;
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Whether a value is a map, which has keys. A JSON Schema is one too. */
export function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

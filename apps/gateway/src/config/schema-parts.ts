import { isObject, type Path } from './problems.ts';

/** A JsonSchema comes from the library of a plugin, so it may contain anything. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A Part is one value within another one, with what a schema says of it. */
interface Part {
  readonly path: Path;
  readonly value: unknown;
  /** The schemas that describe it. */
  readonly schemas: readonly JsonSchema[];
  /** The keys that are known in its place, if no schema names the key of this part. */
  readonly knownKeys?: readonly string[];
}

/** Finds all parts of a value, itself among them. What is under an unknown key comes twice: only one of the two has `knownKeys`. */
export function findParts(schema: JsonSchema, value: unknown, path: Path): Iterable<Part> {
  return walk([schema], value, path, schema);
}

function* walk(
  described: readonly JsonSchema[],
  value: unknown,
  path: Path,
  root: JsonSchema,
): Generator<Part> {
  const schemas = described.flatMap((schema) => alternatives(schema, value, root));
  yield { path, value, schemas };
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      yield* walk(itemSchemas(schemas, index), item, [...path, index], root);
    }
  } else if (isObject(value)) {
    const { schemasByKey, open } = describedKeys(schemas);
    for (const [key, child] of Object.entries(value)) {
      const [childPath, inner] = [[...path, key], schemasByKey.get(key) ?? open];
      if (inner === undefined)
        yield { path: childPath, value: child, schemas: [], knownKeys: [...schemasByKey.keys()] };
      yield* walk(inner ?? [], child, childPath, root);
    }
  }
}

/** Returns the keys that the schemas name, with their schemas. `open`: the schemas of any other key, undefined if none is allowed. */
function describedKeys(schemas: readonly JsonSchema[]) {
  const schemasByKey = new Map<string, JsonSchema[]>();
  const named = schemas.flatMap(({ properties }) =>
    isObject(properties) ? Object.entries(properties) : [],
  );
  for (const [key, schema] of named)
    schemasByKey.set(key, [...(schemasByKey.get(key) ?? []), schema].filter(isObject));
  const otherKeys = schemas.map(({ additionalProperties }) => additionalProperties);
  const isFree =
    otherKeys.includes(true) ||
    schemas.some(({ patternProperties }) => isObject(patternProperties));
  const isClosed =
    otherKeys.includes(false) || schemas.some(({ properties }) => isObject(properties));
  const open = otherKeys.filter(isObject);
  return { schemasByKey, open: isFree || open.length > 0 || !isClosed ? open : undefined };
}

function itemSchemas(schemas: readonly JsonSchema[], index: number): JsonSchema[] {
  return schemas
    .map(({ prefixItems, items }) => [prefixItems ?? []].flat()[index] ?? items)
    .filter(isObject);
}

/** Returns a schema with all that apply together with it: the targets of its references, and the branches that can fit the value. */
function alternatives(
  schema: JsonSchema,
  value: unknown,
  root: JsonSchema,
  visited: readonly JsonSchema[] = [],
): JsonSchema[] {
  if (visited.includes(schema)) return [];
  const follow = (inner: unknown) =>
    isObject(inner) ? alternatives(inner, value, root, [...visited, schema]) : [];
  const branches = ['anyOf', 'oneOf'].flatMap((keyword) =>
    fitting([schema[keyword] ?? []].flat(), value, root),
  );
  const always = [
    ...[schema.allOf ?? []].flat(),
    schema.then,
    schema.else,
    resolveReference(schema.$ref, root),
  ];
  return [schema, ...always.flatMap(follow), ...branches.flatMap(follow)];
}

/** Returns the branches that no discriminator rules out, or all of them if it rules out all. */
function fitting(
  branches: readonly unknown[],
  value: unknown,
  root: JsonSchema,
): readonly unknown[] {
  const possible = branches.filter(
    (branch) => isObject(branch) && !contradicts(branch, value, root),
  );
  return possible.length > 0 ? possible : branches;
}

function contradicts(branch: JsonSchema, value: unknown, root: JsonSchema): boolean {
  const schema = resolveReference(branch.$ref, root) ?? branch;
  if (!isObject(value)) return false;
  if (typeof schema.type === 'string' && schema.type !== 'object') return true;
  return Object.entries(isObject(schema.properties) ? schema.properties : {}).some(
    ([key, property]) => {
      if (!isObject(property) || !Object.hasOwn(value, key)) return false;
      if ('const' in property) return property.const !== value[key];
      return Array.isArray(property.enum) && !property.enum.includes(value[key]);
    },
  );
}

/** Returns the target of a reference within the schema itself: `#` or `#/$defs/name`. Others are not followed. */
function resolveReference(reference: unknown, root: JsonSchema): JsonSchema | undefined {
  if (typeof reference !== 'string' || !reference.startsWith('#')) return undefined;
  let target: unknown = root;
  for (const step of decodeURIComponent(reference.slice(1)).split('/').slice(1)) {
    target = isObject(target)
      ? target[step.replaceAll('~1', '/').replaceAll('~0', '~')]
      : undefined;
  }
  return isObject(target) ? target : undefined;
}

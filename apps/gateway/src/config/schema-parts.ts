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
  readonly known?: readonly string[];
}

/** Finds all parts of a value, itself among them. What is under an unknown key comes twice: only one of the two has `known`. */
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
    const { known, open } = describedKeys(schemas);
    for (const [key, child] of Object.entries(value)) {
      const [childPath, inner] = [[...path, key], known.get(key) ?? open];
      if (inner === undefined)
        yield { path: childPath, value: child, schemas: [], known: [...known.keys()] };
      yield* walk(inner ?? [], child, childPath, root);
    }
  }
}

/** Returns the keys that the parts name, with their schemas. `open`: the schemas of any other key, undefined if none is allowed. */
function describedKeys(parts: readonly JsonSchema[]) {
  const known = new Map<string, JsonSchema[]>();
  const named = parts.flatMap(({ properties }) =>
    isObject(properties) ? Object.entries(properties) : [],
  );
  for (const [key, schema] of named)
    known.set(key, [...(known.get(key) ?? []), schema].filter(isObject));
  const rest = parts.map(({ additionalProperties }) => additionalProperties);
  const isFree =
    rest.includes(true) || parts.some(({ patternProperties }) => isObject(patternProperties));
  const isClosed = rest.includes(false) || parts.some(({ properties }) => isObject(properties));
  const open = rest.filter(isObject);
  return { known, open: isFree || open.length > 0 || !isClosed ? open : undefined };
}

function itemSchemas(parts: readonly JsonSchema[], index: number): JsonSchema[] {
  return parts
    .map(({ prefixItems, items }) => [prefixItems ?? []].flat()[index] ?? items)
    .filter(isObject);
}

/** Returns a schema with all that apply together with it: those of its references, and the branches that can fit the value. */
function alternatives(
  schema: JsonSchema,
  value: unknown,
  root: JsonSchema,
  seen: readonly JsonSchema[] = [],
): JsonSchema[] {
  if (seen.includes(schema)) return [];
  const follow = (inner: unknown) =>
    isObject(inner) ? alternatives(inner, value, root, [...seen, schema]) : [];
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
  const left = branches.filter((branch) => isObject(branch) && !contradicts(branch, value, root));
  return left.length > 0 ? left : branches;
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

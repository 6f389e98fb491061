import { isObject, type Path, type Problem } from './problems.ts';
import type { JsonSchema } from './schema-parts.ts';

/** Values of keys that have no default, by the name of the key. Any other is left out, as `…`. */
const examples: Readonly<Record<string, string>> = {
  allowSystemNames: '[system:masters]',
  audience: 'https://kubernetes.default.svc.cluster.local',
  authenticator: 'corp',
  authenticators: '[{ name: tokens, use: static, options: { tokensFile: tokens.yaml } }]',
  certFile: 'tls/server.crt',
  clientId: 'sallyport',
  endpoint: 'http://otel-collector:4318/v1/traces',
  groups: '["corp:k8s-admins"]',
  keyFile: 'tls/server.key',
  keyPrefix: 'sallyport.example.com',
  name: 'tokens',
  options: '{ tokensFile: tokens.yaml }',
  output: 'stdout',
  prefix: '"corp:"',
  publicUrl: 'https://login.example.com:8444',
  reason: '"both are one directory"',
  redis: '{ url: rediss://redis.example.com:6379 }',
  required: 'none',
  sealingKeys: '[{ file: secrets/sealing-key }]',
  server: 'https://prod.example.com:6443',
  sessions: 'sessions',
  use: 'static',
  warning: 'shared-names',
};

/**
 * Adds an example to a problem of a key that is missing, or of a section that is not a map.
 *
 * @param schema of the whole file
 * @param value what is written there
 */
export function addExample(schema: JsonSchema, problem: Problem, value: unknown): Problem {
  const { path, message, fix } = problem;
  // The fix of a list quotes what is written, and an entry that is a map needs its keys.
  if (message === 'must be a list' && fix?.startsWith('write ')) {
    const entry = writeExample(schema, [...path, 0]);
    return entry.startsWith('{') ? { ...problem, fix: `write for example [${entry}]` } : problem;
  }
  const listedEntry = writeListedEntry(schema, path);
  if (listedEntry !== undefined)
    return { ...problem, fix: `write a name before it: ${listedEntry}` };
  const word = examples[String(path.at(-1))];
  if (word !== undefined && /^(write one value|begin each)/.test(fix ?? ''))
    return { ...problem, fix: `${fix}, such as ${word}` };
  if (fix !== undefined) return problem;
  if (path.join('.') === 'cache' && (value === 'off' || value === false))
    return { ...problem, fix: 'write cache: off at each authenticator that is not to be cached' };
  if (message === 'must be keys and values' && value === false)
    return { ...problem, fix: 'remove it: what is not in the file is off, or has its defaults' };
  if (message === 'is missing' && path.at(-1) === 'use')
    return {
      ...problem,
      fix: 'add use with the name of the plugin that has its options, such as static',
    };
  const example = writeExample(schema, path);
  if (message === 'is missing') return { ...problem, fix: `add ${example}` };
  return message === 'must be keys and values'
    ? { ...problem, fix: `write for example ${example}` }
    : problem;
}

/** Writes a map of names and entries, if a key of an entry is in the place of a name. */
function writeListedEntry(schema: JsonSchema, path: Path): string | undefined {
  const parent = findSchema(schema, path.slice(0, -1));
  const entry = isObject(parent.additionalProperties) ? parent.additionalProperties : {};
  const isKey = isObject(entry.properties) && Object.hasOwn(entry.properties, String(path.at(-1)));
  return isKey ? writeExample(schema, path.slice(0, -1)) : undefined;
}

/** Writes a key with a value that its schema accepts. An entry of a list has no key. */
function writeExample(schema: JsonSchema, path: Path): string {
  const key = path.at(-1);
  const value = writeValue(findSchema(schema, path), key);
  return typeof key === 'number' ? value : `${String(key)}: ${value}`;
}

function findSchema(schema: JsonSchema, path: Path): JsonSchema {
  return path.reduce<JsonSchema>((parent, step) => {
    const { properties, items, additionalProperties } = parent;
    const inner =
      (isObject(properties) && properties[String(step)]) || items || additionalProperties;
    return isObject(inner) ? inner : {};
  }, schema);
}

/** Writes a map with the keys that it needs, else with its first key. */
function writeValue(schema: JsonSchema, key: PropertyKey | undefined): string {
  const { properties, additionalProperties, required = [], default: usual } = schema;
  if (isObject(properties)) {
    const [anyKey = ''] = Object.keys(properties);
    const keys = Array.isArray(required) && required.length > 0 ? required.map(String) : [anyKey];
    return `{ ${keys.map((name) => writeExample(schema, [name])).join(', ')} }`;
  }
  const example = examples[String(key)];
  if (example !== undefined) return example;
  if (isObject(additionalProperties)) return `{ NAME: ${writeValue(additionalProperties, key)} }`;
  return usual === undefined ? '…' : JSON.stringify(usual);
}

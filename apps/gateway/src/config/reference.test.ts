import { readFileSync, writeFileSync } from 'node:fs';
import { duration, size } from '@sallyport/plugin-kit';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { ratePattern } from './login.ts';
import { isObject } from './problems.ts';
import { fileJsonSchema } from './schema.ts';
import { listenKey } from './server-keys.ts';
import type { JsonSchema } from './unknown-keys.ts';

/** A key of gateway.yaml, with its schema. */
interface Entry {
  readonly path: string;
  readonly isRequired: boolean;
  readonly schema: JsonSchema;
}

/** Keys that are described elsewhere: a connection in the README of the redis plugin, lifetimes in `cache`, TLS in `server.tls`. */
const elsewhere =
  /^cache\.redis\.(?!sealingKeys|timeout|keyPrefix|startWithoutBlocks)|^login\.secondFactor\.redis\.(?!keyPrefix)|^authenticators\.cache\.(?!store)|^login\.tls\./;

/** Finds the keys in a schema. Keys of a map with free keys are below NAME. */
function keysIn(schema: JsonSchema, path = ''): Entry[] {
  const { properties, items, anyOf, additionalProperties: free } = schema;
  const required: readonly unknown[] = Array.isArray(schema.required) ? schema.required : [];
  const own = Object.entries(isObject(properties) ? properties : {}).flatMap(([key, inner]) => {
    if (!isObject(inner)) return [];
    const isSection =
      isObject(inner.properties) || isObject((inner.items as JsonSchema)?.properties);
    const entry = { path: path + key, isRequired: required.includes(key), schema: inner };
    return [...(isSection ? [] : [entry]), ...keysIn(inner, `${path}${key}.`)];
  });
  const branches = Array.isArray(anyOf) ? anyOf.filter(isObject) : [];
  return [
    ...own,
    ...(isObject(items) ? keysIn(items, path) : []),
    ...(isObject(free) ? keysIn(free, `${path}NAME.`) : []),
    ...branches.flatMap((branch) => keysIn(branch, path)),
  ];
}

const patternOf = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input' }).pattern;
const patterns = new Map<unknown, string>([
  [patternOf(duration('')), 'duration'],
  [patternOf(size('')), 'size'],
  [patternOf(listenKey('', 0)), 'address'],
  [ratePattern.source, 'rate'],
]);
const types: Readonly<Record<string, string>> = {
  array: 'list',
  integer: 'number',
  object: 'map',
};

const choices = new Intl.ListFormat('en', { type: 'disjunction' });
const code = (value: unknown) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

function typeOf({ path, schema }: Entry): string {
  const { type, pattern, enum: words, const: word, format, anyOf, items, writeOnly } = schema;
  if (Array.isArray(anyOf)) return choices.format(anyOf.flatMap(branchType));
  if (Array.isArray(words)) return choices.format(words.map(code));
  if (word !== undefined) return code(word);
  if (isObject(items) && items.writeOnly === true) return 'list of secrets';
  if (writeOnly === true) return 'secret';
  if (format === 'uri') return 'URL';
  if (/File$/.test(path)) return 'path';
  return patterns.get(pattern) ?? types[String(type)] ?? String(type);
}

/** Returns the values of one branch of a union. */
function branchType(branch: unknown): readonly string[] {
  const { const: word, enum: words = [word] } = branch as JsonSchema;
  const values = (words as unknown[]).filter((one) => one !== undefined);
  return values.length > 0 ? values.map(code) : ['a map'];
}

/** Splits a description into its text and the range of a duration or a size at its end. Others have theirs in the schema. */
function rangeOf({ description, ...schema }: JsonSchema): { text: string; range?: string } {
  const [, text = '', min, max] =
    /^(.*?)(?: (?:(\S+) to|At most) (\d\w*)\.)?$/.exec(String(description)) ?? [];
  const from = max === undefined ? (schema.minItems ?? schema.minimum) : min;
  const to = max ?? schema.maxItems ?? schema.maximum;
  // The page says that a duration is at most 7d.
  const isUsual = from === undefined && to === '7d';
  if (to === undefined || to === Number.MAX_SAFE_INTEGER || isUsual) return { text };
  return {
    text,
    range: from === undefined ? `at most ${code(to)}` : `${code(from)} to ${code(to)}`,
  };
}

/** Breaks lines as the pages do. */
function wrapped(text: string): string {
  return text.replaceAll(/(.{1,130})(?: |$)/g, '$1\n').trimEnd();
}

function rendered(entry: Entry): string {
  const { default: preset } = entry.schema;
  const { range, text } = rangeOf(entry.schema);
  const shown = preset === undefined ? undefined : preset === '' ? 'empty' : code(preset);
  const facts = [typeOf(entry), entry.isRequired ? 'required' : shown && `default ${shown}`, range];
  return `### \`${entry.path}\`\n\n${wrapped(`*${facts.filter(Boolean).join(', ')}.* ${text}`)}\n`;
}

const keys = keysIn(fileJsonSchema()).filter(({ path }) => !elsewhere.test(path));
const file = new URL('../../../../docs/configuration.md', import.meta.url);
const page = readFileSync(file, 'utf8');
const generated = /(<!-- generated: ([\w.]+) -->\n).*?(?=<!-- end -->)/gs;
const sections = [...page.matchAll(generated)].map(([, , section = '']) => section);

/** Finds the section of the page that a key is in: the one with the longest path. */
function sectionOf({ path }: Entry): string | undefined {
  const above = sections.filter((section) => `${path}.`.startsWith(`${section}.`));
  return above.sort((one, other) => other.length - one.length)[0];
}

/** The paths of what a YAML example has; the entries of a list are at the path of the list. */
function pathsIn(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((entry) => pathsIn(entry, path));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const own = /^login\.(?:clusters|providers)\.$/.test(path) ? `${path}NAME` : path + key;
    return [own, ...pathsIn(inner, `${own}.`)];
  });
}

// Only a config that its schema refuses is searched for unknown keys.
test('the schema refuses unknown keys by itself, in each of its objects', () => {
  const objects = objectsIn(fileJsonSchema());
  expect(objects.length).toBeGreaterThan(20);
  expect(objects.filter(({ additionalProperties }) => additionalProperties !== false)).toEqual([]);
});

/** This schema, and all within it, that name keys. */
function objectsIn(schema: object): JsonSchema[] {
  const inner = Object.values(schema).flatMap((one) =>
    typeof one === 'object' && one ? objectsIn(one) : [],
  );
  return 'type' in schema && schema.type === 'object' && 'properties' in schema
    ? [{ ...schema }, ...inner]
    : inner;
}

test('docs/configuration.md has what the schema says of each key; to write it: WRITE=1', () => {
  const written = page.replaceAll(generated, (_, begin: string, section: string) =>
    [begin, ...keys.filter((key) => sectionOf(key) === section).map(rendered)]
      .join('\n')
      .concat('\n'),
  );
  if (process.env.WRITE === '1') writeFileSync(file, written);
  else expect(page).toBe(written);
  expect(keys.filter((key) => sectionOf(key) === undefined)).toEqual([]);
});

test('each key without a default is in an example of the page', () => {
  const examples = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = '']) =>
    parse(text),
  );
  const shown = new Set(examples.flatMap((example) => pathsIn(example)));
  const without = keys.filter(({ schema }) => schema.default === undefined);
  expect(without.map(({ path }) => path).filter((path) => !shown.has(path))).toEqual([]);
});

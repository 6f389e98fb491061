import { codeBlocksOf } from '@sallyport/test/documents';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { readPage } from './testing/pages.ts';
import { expectWritten } from './testing/written.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A key of gateway.yaml, with its schema. */
interface Entry {
  readonly path: string;
  readonly isRequired: boolean;
  readonly schema: JsonSchema;
}

/** Keys that are described elsewhere: a connection in the README of the redis plugin, lifetimes in `cache`, TLS in `server.tls`. */
const elsewhere =
  /^cache\.redis\.(?!sealingKeys|timeout|keyPrefix|startWithoutBlocks)|^login\.secondFactor\.redis\.(?!commandTimeout|keyPrefix)|^authenticators\.cache\.(?!store)|^login\.tls\./;

const secretReference = '#/$defs/secret';
const isSecret = (schema: unknown): boolean =>
  isObject(schema) && (schema.writeOnly === true || schema.$ref === secretReference);

/** Leaves out that a text may be in a file or a variable instead: editors are told so, and the page says it once. */
function withoutReference({ anyOf, ...schema }: JsonSchema): JsonSchema {
  const branches = Array.isArray(anyOf) ? anyOf.filter((branch) => !isSecret(branch)) : [];
  if (branches.length === 0 || branches.length === (anyOf as unknown[]).length)
    return { anyOf, ...schema };
  return { ...schema, ...branches[0] };
}

/** Finds the keys in a schema. Keys of a map with free keys are below NAME. */
function keysIn(schema: JsonSchema, path = ''): Entry[] {
  const { properties, items, anyOf, additionalProperties: free } = schema;
  const required: readonly unknown[] = Array.isArray(schema.required) ? schema.required : [];
  const own = Object.entries(isObject(properties) ? properties : {}).flatMap(([key, value]) => {
    if (!isObject(value)) return [];
    const inner = withoutReference(value);
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

/** A test of the gateway compares the file with its code. */
const allKeys = keysIn(JSON.parse(await readPage('apps/gateway/gateway.schema.json')));
const patternOf = (path: string) => allKeys.find((key) => key.path === path)?.schema.pattern;
/** The types of texts, by the pattern of a key that has each. */
const patterns = new Map<unknown, string>([
  [patternOf('server.drainTimeout'), 'duration'],
  [patternOf('server.maxBodySize'), 'size'],
  [patternOf('server.listen'), 'address'],
  [patternOf('login.limits.perAddress'), 'rate'],
]);
const types: Readonly<Record<string, string>> = {
  array: 'list',
  integer: 'number',
  object: 'map',
};

const choices = new Intl.ListFormat('en', { type: 'disjunction' });
const code = (value: unknown) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

function typeOf({ path, schema }: Entry): string {
  const { type, pattern, enum: words, const: word, format, anyOf, items } = schema;
  // The names that editors offer for `use` are not its only values.
  if (Array.isArray(anyOf) && type === undefined) return choices.format(anyOf.flatMap(branchType));
  if (Array.isArray(words)) return choices.format(words.map(code));
  if (word !== undefined) return code(word);
  if (isSecret(items)) return 'list of secrets';
  if (isSecret(schema)) return 'secret';
  if (format === 'uri') return 'URL';
  if (/File$|^login\.logo$/.test(path)) return 'path';
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

const keys = allKeys.filter(({ path }) => !elsewhere.test(path));
const file = 'docs/configuration.md';
const page = await readPage(file);
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

test('docs/configuration.md has what the schema says of each key; to write it: WRITE=1', async () => {
  const written = page.replaceAll(generated, (_, begin: string, section: string) =>
    [begin, ...keys.filter((key) => sectionOf(key) === section).map(rendered)]
      .join('\n')
      .concat('\n'),
  );
  await expectWritten(file, page, written);
  expect(keys.filter((key) => sectionOf(key) === undefined)).toEqual([]);
});

test('each key without a default is in an example of the page', () => {
  const examples = codeBlocksOf(page).flatMap(({ language, text }) =>
    language === 'yaml' ? [parse(text)] : [],
  );
  const shown = new Set(examples.flatMap((example) => pathsIn(example)));
  const without = keys.filter(({ schema }) => schema.default === undefined);
  expect(without.map(({ path }) => path).filter((path) => !shown.has(path))).toEqual([]);
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isObject } from './problems.ts';
import { fileJsonSchema } from './schema.ts';
import type { JsonSchema } from './unknown-keys.ts';

/** A key of gateway.yaml, as its schema or the reference describes it. */
interface Entry {
  readonly path: string;
  /** `required`, a default, or undefined for a key that may be left out and has no default. */
  readonly preset: string | undefined;
  readonly text: string;
}

/** The keys that say where Redis is: the README of the redis plugin has them, and its tests hold it to them. */
const ofConnections = /^cache\.redis\.(?!sealingKeys|timeout|keyPrefix|startWithoutBlocks)/;

function describedIn(schema: JsonSchema, path = ''): Entry[] {
  const properties = isObject(schema.properties) ? schema.properties : {};
  return Object.entries(properties).flatMap(([key, inner]): Entry[] => {
    if (!isObject(inner)) return [];
    const { default: value, description, items } = inner;
    const isRequired = Array.isArray(schema.required) && schema.required.includes(key);
    const preset =
      value === undefined
        ? undefined
        : typeof value === 'string' && value !== ''
          ? value
          : JSON.stringify(value);
    const entry = {
      path: path + key,
      preset: isRequired ? 'required' : preset,
      text: String(description),
    };
    return [entry, ...describedIn(isObject(items) ? items : inner, `${path}${key}.`)];
  });
}

/** This schema, and all within it, that name keys. */
function objectsIn(schema: object): JsonSchema[] {
  const inner = Object.values(schema).flatMap((one) =>
    typeof one === 'object' && one ? objectsIn(one) : [],
  );
  return 'type' in schema && schema.type === 'object' && 'properties' in schema
    ? [{ ...schema }, ...inner]
    : inner;
}

/** The rows of the tables whose first columns are "Key, Default", under the path that the heading begins with. */
function documentedIn(markdown: string): Entry[] {
  return markdown.split(/^#+ (?=.)/m).flatMap((section) => {
    const [heading = ''] = /^[\w.]+(?=[:,])/.exec(section) ?? [];
    const tables = section.match(/^\| Key \| Default \|.*\n(?:\|.*\n)+/gm) ?? [];
    const rows = tables.flatMap((table) => table.trim().split('\n').slice(2));
    return rows.map((row): Entry => {
      const [, key = '', preset = '', ...cells] = row.split('|').map((cell) => cell.trim());
      const path = [heading, /^`(.*)`$/.exec(key)?.[1]].filter(Boolean).join('.');
      const [, value = preset === 'required' ? preset : undefined] =
        /^`([^`]*)`$/.exec(preset) ?? [];
      return { path, preset: value, text: cells.join('|').replaceAll('`', '') };
    });
  });
}

const schema = describedIn(fileJsonSchema()).filter(({ path }) => !ofConnections.test(path));
const reference = documentedIn(
  readFileSync(new URL('../../../../docs/configuration.md', import.meta.url), 'utf8'),
);

// Only a config that its schema refuses is searched for unknown keys.
test('the schema refuses unknown keys by itself, in each of its objects', () => {
  const objects = objectsIn(fileJsonSchema());
  expect(objects.length).toBeGreaterThan(20);
  expect(objects.filter(({ additionalProperties }) => additionalProperties !== false)).toEqual([]);
});

test('the reference has each key once, and no other', () => {
  const sections = ['server', 'admin', 'authenticators', 'cache', 'cache.memory', 'lockout', 'log'];
  const ofAuthenticators = ['circuit', 'username', 'groups'].map((key) => `authenticators.${key}`);
  const withHeading = [
    ...sections,
    ...ofAuthenticators,
    'audit',
    'provenance',
    'tracing',
    'login',
    'login.tls',
    'login.limits',
  ];
  const keys = schema.map(({ path }) => path).filter((path) => !withHeading.includes(path));
  expect(reference.map(({ path }) => path).sort()).toEqual(keys.sort());
});

test.each(reference.map((row) => [row.path, row] as const))(
  '%s has the default and the description of its schema',
  (path, row) => {
    const described = schema.find((entry) => entry.path === path);
    // What is left out may have a meaning in words.
    expect(row.preset).toBe(described?.preset);
    expect(row.text.slice(0, described?.text.length)).toBe(described?.text);
  },
);

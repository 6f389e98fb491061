import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { configJsonSchema } from './json-schema.ts';
import { loadConfig } from './load.ts';
import { builtInPlugins } from './plugins.ts';

const shipped = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

test('gateway.schema.json is what the code makes; if not: pnpm --filter gateway run schema', async () => {
  const onDisk = JSON.parse(await readFile(shipped('gateway.schema.json'), 'utf8'));
  expect(onDisk).toEqual(JSON.parse(JSON.stringify(configJsonSchema(await builtInPlugins()))));
});

test('gateway.yaml names its schema on the first line, for editors', async () => {
  const [first] = (await readFile(shipped('gateway.yaml'), 'utf8')).split('\n');
  expect(first).toBe('# yaml-language-server: $schema=./gateway.schema.json');
});

test('gateway.yaml loads, listens on loopback and holds no credential', async () => {
  const config = await loadConfig(shipped('gateway.yaml'), {});
  expect(config.server).toMatchObject({ listen: { host: '127.0.0.1', port: 8080 } });
  expect(config.admin).toEqual({ listen: { host: '127.0.0.1', port: 8081 } });
  const { authenticators } = parse(await readFile(shipped('gateway.yaml'), 'utf8'));
  expect(authenticators).toEqual([
    { name: 'demo', use: 'static', options: { tokensFile: '.demo/current/tokens.yaml' } },
  ]);
});

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { SentinelConnector } from 'ioredis';
import { expect, test } from 'vitest';

test('what is put right is there in the version that is pinned', () => {
  const manifest = new URL('../package.json', import.meta.url);
  const { version } = createRequire(manifest)('ioredis/package.json') as { version: string };
  // Another version may do it otherwise: look into its source, then write that version here.
  expect(version).toBe('6.0.0');
  expect(readFileSync(manifest, 'utf8')).toContain('"ioredis": "catalog:"');
  expect(SentinelConnector.prototype).toHaveProperty('connectToSentinel');
});

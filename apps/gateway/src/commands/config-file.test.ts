import { expect, test } from 'vitest';
import { configFile } from './config-file.ts';
import { UsageError } from './output.ts';

test('an empty --config, as of an unset variable, never stands for the demo', () => {
  expect(() => configFile('')).toThrow(
    new UsageError('--config is empty: name a file, or leave it out for the shipped config'),
  );
  expect([configFile('x.yaml').isShipped, configFile(undefined).isShipped]).toEqual([false, true]);
});

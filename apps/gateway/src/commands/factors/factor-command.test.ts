import { expect, test } from 'vitest';
import { createTestContext } from '../../testing/command-context.ts';
import { factorCommand } from './factor-command.ts';

test.each([
  [{}, 'factor reset --user corp:jane'],
  [
    { exact: true, config: 'other.yaml' },
    'factor reset --user corp:jane --exact --config other.yaml',
  ],
])('a command for a user who was named with %j', (options, expected) => {
  expect(factorCommand(createTestContext(), 'reset', 'corp:jane', options)).toBe(
    `sallyport ${expected}`,
  );
});

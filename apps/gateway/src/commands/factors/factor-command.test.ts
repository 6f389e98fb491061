import { expect, test } from 'vitest';
import { createTestContext } from '../../testing/command-context.ts';
import { factorCommand } from './factor-command.ts';

test.each([
  { options: {}, command: 'factor reset --user corp:jane' },
  {
    options: { exact: true, config: 'other.yaml' },
    command: 'factor reset --user corp:jane --exact --config other.yaml',
  },
])('names the user and the config as they were given: $options', ({ options, command }) => {
  expect(factorCommand(createTestContext(), 'reset', 'corp:jane', options)).toBe(
    `sallyport ${command}`,
  );
});

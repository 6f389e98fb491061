import { expect, test } from 'vitest';
import { factorCommand } from './factor-command.ts';

test.each([
  [{}, 'factor reset --user corp:jane'],
  [
    { exact: true, config: 'other.yaml' },
    'factor reset --user corp:jane --exact --config other.yaml',
  ],
])('a command for a user who was named with %j', (options, expected) => {
  expect(factorCommand('reset', 'corp:jane', options)).toBe(`npx -y pnpm@10 sallyport ${expected}`);
});

import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { GatewayConfig } from '../config/types.ts';
import { logConfigWarnings } from './log-warnings.ts';

test('each config warning is logged, and those that check.acknowledge covers are counted', () => {
  const lines: object[] = [];
  const logger = pino({}, { write: (line) => lines.push(JSON.parse(line)) });
  const warnings = ['a', 'b', 'c'].map((key) => ({
    file: 'gateway.yaml',
    path: `authenticators[0].options.${key}`,
    message: 'a password is written here',
  }));
  const acknowledge = (warning: 'config' | 'plugin', about: string) => {
    return {
      warning,
      about,
      reason: 'a lab',
      problem: () => ({ file: '', path: '', message: '' }),
    };
  };
  const acknowledgements: GatewayConfig['acknowledgements'] = [
    acknowledge('config', 'options.a'),
    acknowledge('config', 'options.b'),
    acknowledge('plugin', 'options.c'),
  ];
  logConfigWarnings({ warnings, acknowledgements }, logger);
  expect(lines).toEqual([
    expect.objectContaining({ msg: 'config warning', problem: warnings[2] }),
    expect.objectContaining({ msg: 'config warnings acknowledged', count: 2 }),
  ]);
  lines.length = 0;
  logConfigWarnings({ warnings, acknowledgements: [] }, logger);
  expect(lines).toHaveLength(3);
});

import { expect } from 'vitest';
import type { PluginGateway } from './plugin-gateway.ts';

/** Expects that check() finds the directory usable, and warns of these attributes, each as `option attribute`. */
export async function expectUnknownAttributes(
  made: PluginGateway,
  expected: readonly string[],
): Promise<void> {
  await made.check();
  const warned = made.lines
    .filter(({ level }) => level === 'warn')
    .map(({ fields }) => Object.values(fields).join(' '));
  expect(warned).toEqual(expected);
}

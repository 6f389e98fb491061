import { expect, test } from 'vitest';
import type { HealthCheck } from '../health.ts';
import { createKnownHealth } from './known-health.ts';

const well: HealthCheck = { name: 'corp', ok: true };
const ill: HealthCheck = { name: 'corp', ok: false, reason: 'no such base' };

function start(...answers: (HealthCheck | Promise<HealthCheck>)[]) {
  let now = 0;
  const health = createKnownHealth(
    async () => [await (answers.shift() ?? well)],
    () => now,
  );
  return { health, pass: (milliseconds: number) => (now += milliseconds) };
}

test('waits for what is not known yet, and not for a check that hangs', async () => {
  const hanging = Promise.withResolvers<HealthCheck>();
  const { health } = start(well, hanging.promise, ill);
  expect((await health(['corp'])).get('corp')).toBe(well);
  expect((await health(['corp'])).get('corp')).toBe(well);
  hanging.resolve(ill);
  await hanging.promise;
  await new Promise(setImmediate);
  expect((await health(['corp'])).get('corp')).toBe(ill);
});

test('waits again for what it knew long ago, and for who is new', async () => {
  const { health, pass } = start(well, ill, well);
  await health(['corp']);
  pass(15_001);
  expect((await health(['corp'])).get('corp')).toBe(ill);
  expect((await health(['corp', 'robots'])).get('corp')).toBe(well);
});

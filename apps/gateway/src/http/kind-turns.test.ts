import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createKindTurns } from './kind-turns.ts';

function createOrder(batch: number) {
  const waitForTurn = createKindTurns<'token' | 'access'>(batch);
  const order: string[] = [];
  return {
    order,
    begin: (kind: 'token' | 'access', name: string): void =>
      void waitForTurn(kind).then(() => order.push(name)),
  };
}

describe('the turns of kinds', () => {
  test('let a kind with one request wait for one turn, however many another kind has', async () => {
    const { order, begin } = createOrder(2);
    for (let count = 1; count <= 5; count++) begin('access', `access ${count}`);
    begin('token', 'token');
    await nextTurn();
    expect(order).toEqual(['access 1', 'access 2', 'token']);
    begin('token', 'later token');
    await nextTurn();
    expect(order.slice(3)).toEqual(['access 3', 'access 4', 'later token']);
    await nextTurn();
    expect(order.slice(6)).toEqual(['access 5']);
  });

  test('begin again after all have ended', async () => {
    const { order, begin } = createOrder(1);
    begin('token', 'first');
    await nextTurn();
    await nextTurn();
    begin('token', 'second');
    expect(order).toEqual(['first']);
    await nextTurn();
    expect(order).toEqual(['first', 'second']);
  });
});

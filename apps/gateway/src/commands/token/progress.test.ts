import { expect, test } from 'vitest';
import { createProgress } from './progress.ts';

function tell(isTTY: boolean, count: number): string {
  const written: unknown[] = [];
  {
    using progress = createProgress('tokens', { isTTY, write: (text: string | Uint8Array) => written.push(text) > 0 });
    for (let one = 0; one < count; one++) progress.count();
  }
  return written.join('');
}

test('on a terminal each thousand is told, and gone in the end', () => {
  expect(tell(true, 2500)).toBe('\r1000 tokens …\r2000 tokens …\r\u001b[K');
});

test('a short work is not told', () => {
  expect(tell(true, 999)).toBe('');
});

test('elsewhere nothing is told', () => {
  expect(tell(false, 2500)).toBe('');
});

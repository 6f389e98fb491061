import { expect, test } from 'vitest';
import { after, isLate, remembering } from './answer.ts';

test('an answer that is there is used at once, a promise when it settles', async () => {
  const double = (given: number) => given * 2;
  expect(after(2, double)).toBe(4);
  const late = after(Promise.resolve(2), double);
  expect(isLate(late)).toBe(true);
  await expect(late).resolves.toBe(4);
});

test('a promise that rejects becomes what `failed` makes of it, or stays as it is', async () => {
  const broken = async () => Promise.reject(new Error('down'));
  await expect(after(broken(), String, (error) => `failed: ${error}`)).resolves.toBe('failed: Error: down');
  await expect(after(broken(), String)).rejects.toThrow('down');
});

test('what was made of an object is remembered, undefined too, and of another one it is made anew', () => {
  const asked: object[] = [];
  const make = remembering((given: { readonly name?: string }, more: string) => {
    asked.push(given);
    return given.name && given.name + more;
  });
  const [jane, nobody] = [{ name: 'jane' }, {}];
  expect([make(jane, '!'), make(jane, '!'), make(nobody, '!'), make(nobody, '!')]).toEqual([
    'jane!',
    'jane!',
    undefined,
    undefined,
  ]);
  expect(make({ name: 'jane' }, '?')).toBe('jane?');
  expect(asked).toEqual([jane, nobody, { name: 'jane' }]);
});

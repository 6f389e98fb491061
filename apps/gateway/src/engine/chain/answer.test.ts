import { expect, test } from 'vitest';
import { after, isDeeplyFrozen, isPending, memoize } from './answer.ts';

test('an answer that is there is used immediately, a promise when it settles', async () => {
  const double = (given: number) => given * 2;
  expect(after(2, double)).toBe(4);
  const late = after(Promise.resolve(2), double);
  expect(isPending(late)).toBe(true);
  await expect(late).resolves.toBe(4);
});

test('a promise that rejects becomes what `failed` makes of it, or stays as it is', async () => {
  const broken = async () => Promise.reject(new Error('down'));
  await expect(after(broken(), String, (error) => `failed: ${error}`)).resolves.toBe(
    'failed: Error: down',
  );
  await expect(after(broken(), String)).rejects.toThrow('down');
});

test('what was made of an object is remembered, undefined too, and is made again for another object', () => {
  const asked: object[] = [];
  const make = memoize((given: { readonly name?: string }, more: string) => {
    asked.push(given);
    return given.name && given.name + more;
  });
  const [jane, nameless] = [{ name: 'jane' }, {}];
  expect([make(jane, '!'), make(jane, '!'), make(nameless, '!'), make(nameless, '!')]).toEqual([
    'jane!',
    'jane!',
    undefined,
    undefined,
  ]);
  expect(make({ name: 'jane' }, '?')).toBe('jane?');
  expect(asked).toEqual([jane, nameless, { name: 'jane' }]);
});

test('what can change is made again each time', () => {
  let made = 0;
  const make = memoize((_given: object) => ++made, isDeeplyFrozen);
  const { freeze } = Object;
  const fixed = freeze({ user: freeze({ groups: freeze(['a']), uid: undefined }), no: null });
  expect([make(fixed), make(fixed)]).toEqual([1, 1]);
  const ending = freeze({ expiresAt: new Date() });
  expect([make(ending), make(ending)]).toEqual([2, 2]);
  const [self, circle] = [{ name: 'a' }, { name: 'b' }];
  Object.assign(self, { circle });
  Object.assign(circle, { self });
  const changing = [
    { user: 1 },
    freeze({ user: { name: 'a' } }),
    freeze({ groups: ['a'] }),
    freeze({
      get user() {
        return 1;
      },
    }),
    freeze(Object.create({ user: 1 })),
    freeze(self) && freeze(circle),
    freeze({ call: () => 1 }),
  ];
  for (const one of changing) expect(make(one)).not.toBe(make(one));
});

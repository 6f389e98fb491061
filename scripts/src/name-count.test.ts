import { expect, test } from 'vitest';
import { endsInOf, isVague, readDeclaredNames } from './name-count.ts';

const read = (source: string) => {
  const { variables, functions } = readDeclaredNames('source.ts', source);
  const names = (declarations: typeof variables) => declarations.map(({ name }) => name);
  return { variables: names(variables), functions: names(functions) };
};

test.each([
  { name: 'a variable', source: 'const one = 1; let two;', variables: ['one', 'two'] },
  {
    name: 'a pattern',
    source: 'const { a, b: [c, ...d], e = 1, ...f } = g;',
    variables: ['a', 'c', 'd', 'e', 'f'],
  },
  {
    name: 'a parameter',
    source: 'function add(a: number, { b }: T = c, ...d: T[]): void {}',
    variables: ['a', 'b', 'd'],
  },
  { name: 'a callback', source: 'list.map((one) => one.name);', variables: ['one'] },
  {
    name: 'a loop',
    source: 'for (const one of list) {} for (let index = 0; ; ) {}',
    variables: ['one', 'index'],
  },
  { name: 'a caught error', source: 'try {} catch (error) {}', variables: ['error'] },
  { name: 'a method', source: 'const x = { find(name) {} };', variables: ['x', 'name'] },
  {
    name: 'a parameter `this`, which no one chose',
    source: 'function on(this: Server, a) {}',
    variables: ['a'],
  },
  {
    name: 'an import, a property and a type',
    source: "import { one } from 'x'; type T = { found: U }; ({ found: 1 });",
    variables: [],
  },
])('$name: $source', ({ source, variables }) => {
  expect(read(source).variables.toSorted()).toEqual(variables.toSorted());
});

test('functions are those that are declared, assigned, and members of objects and types', () => {
  const source = `
    function first() {}
    const second = () => {}, third = function () {}, value = 1;
    const object = { fourth() {}, fifth: () => {} };
    interface Type { sixth(): void; field: string }
  `;
  expect(read(source).functions.toSorted()).toEqual(
    ['first', 'second', 'third', 'fourth', 'fifth', 'sixth'].toSorted(),
  );
});

test('a line counts from 1', () => {
  const { variables } = readDeclaredNames('source.ts', 'const a = 1;\n\nconst b = 2;');
  expect(variables).toEqual([
    { name: 'a', line: 1 },
    { name: 'b', line: 3 },
  ]);
});

test.each(['one', 'found', 'known', 'given', 'what', 'at', 'other', 'rest'])(
  '%s is vague',
  (name) => {
    expect(isVague({ name, line: 1 })).toBe(true);
  },
);

test.each(['session', 'next', 'last', 'old', 'oneTimeCode', 'foundUser'])('%s is not', (name) => {
  expect(isVague({ name, line: 1 })).toBe(false);
});

test('a function is named by a verb, not by …Of', () => {
  expect(
    ['blockOf', 'IndexOf', 'of', 'findProof'].map((name) => endsInOf({ name, line: 1 })),
  ).toEqual([true, true, false, false]);
});

/** The parts of the tests that can be run alone: `pnpm test PART`, and `.ci/run PART`. */
export const testParts = ['unit', 'black-box', 'tools', 'load', 'all'] as const;

export type TestPart = (typeof testParts)[number];

/** A task of Turborepo. */
export type Task = 'test' | 'test:tools' | 'test:load';

export const blackBox = '@sallyport/test#test';

/**
 * The tasks of a package that belong to a part: `test`, `test:tools` or `test:load`.
 *
 * @param scripts the scripts of its package.json. Each package must have `test`, but not each has the other tasks
 */
export function selectTasks(part: TestPart, name: string, scripts: object): readonly Task[] {
  if (part === 'load') return 'test:load' in scripts ? ['test:load'] : [];
  const tools: readonly Task[] = 'test:tools' in scripts ? ['test:tools'] : [];
  if (part === 'all') return ['test', ...tools];
  if (part === 'tools') return tools;
  return (part === 'black-box') === (`${name}#test` === blackBox) ? ['test'] : [];
}

import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type PluginPlan, renderPlugin } from './template.ts';

/** A `CreateError` is an error that the user can correct. It is printed without a stack, and its fix on a separate line. */
export class CreateError extends Error {
  override readonly name = 'CreateError';
  readonly problem: string;
  /** What to write or do instead. */
  readonly fix: string | undefined;

  constructor(problem: string, fix?: string) {
    super(fix === undefined ? problem : `${problem}: ${fix}`);
    this.problem = problem;
    this.fix = fix;
  }
}

/** The names of Sallyport's own plugins. The metrics of another plugin with such a name would be mixed with theirs. */
const takenNames: readonly string[] = ['jwt', 'ldap', 'redis', 'static', 'webhook'];

/** Characters of a name, which is also part of the names of metrics and of tokens, and a folder. */
const maxNameLength = 30;

/** @returns what is wrong with the name of a plugin; undefined for a valid one */
export function problemOfName(name: string): CreateError | undefined {
  const quoted = JSON.stringify(name);
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    return new CreateError(
      `${quoted} is not a name for a plugin`,
      'write lowercase letters, digits and single dashes, such as my-plugin',
    );
  }
  if (name.length > maxNameLength)
    return new CreateError(`${quoted} is too long`, `write at most ${maxNameLength} characters`);
  // The name of the plugin itself has no dashes.
  const word = name.replaceAll('-', '');
  if (!takenNames.includes(word)) return undefined;
  const spelling = word === name ? '' : `, without its dashes (${word})`;
  return new CreateError(
    `${quoted} is the name of one of Sallyport's own plugins${spelling}`,
    'choose another name',
  );
}

/**
 * Writes a new plugin into a folder that does not exist or is empty, and overwrites nothing.
 *
 * @returns the paths of its files in the folder
 * @throws CreateError when the name is bad, or the folder has files or can't be written
 */
export async function createPlugin(folder: string, plan: PluginPlan): Promise<readonly string[]> {
  const problem = problemOfName(plan.name);
  if (problem !== undefined) throw problem;
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new CreateError(
      `${folder}: can't read this folder: ${error.message}`,
      'choose another name',
    );
  });
  // A folder of `git init` is empty too.
  const [blocker] = entries.filter((name) => name !== '.git');
  if (blocker !== undefined) {
    throw new CreateError(
      `${folder}: the folder is not empty, so nothing was written: it contains ${blocker}`,
      'choose another name, or move the folder',
    );
  }
  const files = await renderPlugin(plan);
  await writeFiles(folder, files).catch((error: NodeJS.ErrnoException) => {
    throw new CreateError(
      `${folder}: can't write the plugin here: ${error.message}`,
      'fix that, or choose another folder',
    );
  });
  return [...files.keys()];
}

async function writeFiles(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [path, text] of files) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { flag: 'wx' });
  }
}

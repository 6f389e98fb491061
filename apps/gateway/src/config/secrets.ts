import { resolve } from 'node:path';
import type { Path, Problem } from './problems.ts';
import { readText, UnusableFileError } from './read-text.ts';

/** Keys and passwords are much smaller: a bigger file is the wrong file. */
const secretFileLimit = 64 * 1024;

/** Where secrets come from. */
export interface SecretSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where relative paths start. */
  readonly baseDirectory: string;
}

/** Options with their secrets in place. */
export interface FilledOptions {
  readonly options: unknown;
  readonly problems: readonly Problem[];
  /** Absolute, read or not: a change in one is a change of the config. */
  readonly files: readonly string[];
  /** The secrets themselves, to keep them out of messages. */
  readonly secrets: readonly string[];
}

interface Reference {
  readonly kind: 'env' | 'file';
  readonly name: string;
}

/**
 * Replaces each `{ env: NAME }` and `{ file: path }` inside options by the string that it refers to. Exactly one key and a
 * string make a reference: any other map is the plugin's own, also one that has `file` beside other keys. The options
 * as a whole are never a reference, so a plugin may have a single option called `file`. One newline at a file's end is
 * dropped, as editors put it there.
 *
 * @param path of the options in the config
 */
export async function fillSecrets(options: unknown, path: Path, sources: SecretSources): Promise<FilledOptions> {
  const problems: Problem[] = [];
  const files: string[] = [];
  const secrets: string[] = [];

  async function fill(value: unknown, at: Path): Promise<unknown> {
    const reference = at.length > path.length ? asReference(value) : undefined;
    if (reference === undefined) return fillWithin(value, (child, key) => fill(child, [...at, key]));
    if (reference.kind === 'file') files.push(resolve(sources.baseDirectory, reference.name));
    const found = await find(reference, sources);
    if ('secret' in found) secrets.push(found.secret);
    else problems.push({ path: at, ...found });
    return 'secret' in found ? found.secret : undefined;
  }

  const filled = await fill(options, path);
  return { options: filled, problems, files, secrets };
}

async function fillWithin(
  value: unknown,
  fill: (child: unknown, key: PropertyKey) => Promise<unknown>,
): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map(fill));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(async ([key, child]) => [key, await fill(child, key)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

function asReference(value: unknown): Reference | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const [entry, ...others] = Object.entries(value);
  if (entry === undefined || others.length > 0) return undefined;
  const [kind, name] = entry;
  return (kind === 'env' || kind === 'file') && typeof name === 'string' ? { kind, name } : undefined;
}

type Found = { readonly secret: string } | { readonly message: string; readonly fix: string };

async function find({ kind, name }: Reference, sources: SecretSources): Promise<Found> {
  if (name === '') return { message: `${kind} is empty`, fix: kind === 'env' ? 'name a variable' : 'name a file' };
  return kind === 'env' ? findInEnvironment(name, sources) : findInFile(name, sources);
}

function findInEnvironment(name: string, { environment }: SecretSources): Found {
  const secret = Object.hasOwn(environment, name) ? environment[name] : undefined;
  if (secret) return { secret };
  const state = secret === undefined ? 'not set' : 'empty';
  return { message: `the environment variable ${name} is ${state}`, fix: 'set it where the gateway is started' };
}

async function findInFile(name: string, { baseDirectory }: SecretSources): Promise<Found> {
  const file = resolve(baseDirectory, name);
  try {
    const secret = (await readText(file, secretFileLimit)).replace(/\r?\n$/, '');
    return secret === '' ? { message: `the file ${file} is empty`, fix: 'write the secret into it' } : { secret };
  } catch (error) {
    if (!(error instanceof UnusableFileError)) throw error;
    return { message: error.message, fix: 'make it a readable file that holds the secret alone' };
  }
}

/** Follows the option's name in a message. */
const refusal = 'is refused; what the plugin says of it quotes a secret and is withheld';

/**
 * Keeps secrets out of a text of a plugin or a library, which may quote its input. The whole text is withheld then, since
 * the rest of it could still give the secret away.
 *
 * @param instead the text in its place
 */
export function withholdSecrets(text: string, secrets: readonly string[], instead: string = refusal): string {
  const spellings = secrets.flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
  ]);
  return spellings.some((spelling) => text.includes(spelling)) ? instead : text;
}

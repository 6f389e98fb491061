import { resolve } from 'node:path';
import { isObject, overlaps, type Path, type Problem } from './problems.ts';
import { readText, UnusableFileError } from './read-text.ts';

/** Bytes of a file with a secret. Keys and passwords are much smaller, so a bigger file is the wrong file. */
const secretFileLimit = 64 * 1024;

/** The SecretSources say where secrets come from. */
export interface SecretSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The folder where relative paths start. */
  readonly baseDirectory: string;
}

/** A part of the file with its secrets in place. */
export interface FilledSecrets<Value = unknown> {
  readonly value: Value;
  readonly problems: readonly Problem[];
  /** Secrets that work, but most likely are not what was meant. */
  readonly warnings: readonly Problem[];
  /** The absolute paths of the files, read or not: a change in one is a change of the config. */
  readonly files: readonly string[];
  /** The secrets themselves, to keep them out of messages. */
  readonly secrets: readonly string[];
}

/**
 * Replaces each `{ env: NAME }` and `{ file: path }` inside options by the string that it refers to. Exactly one key and a
 * string make a reference: any other map is the plugin's own, even one that has `file` and other keys. The options
 * as a whole are never a reference, so a plugin may have a single option called `file`. One newline at a file's end is
 * dropped, as editors put it there.
 */
export async function fillSecrets(
  options: unknown,
  path: Path,
  sources: SecretSources,
  mayBeReference = false,
): Promise<FilledSecrets> {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const files: string[] = [];
  const secrets: string[] = [];

  async function fillWithin(value: unknown, place: Path): Promise<unknown> {
    if (Array.isArray(value))
      return Promise.all(value.map((child, index) => fill(child, [...place, index])));
    if (!isObject(value)) return value;
    const entries = Object.entries(value).map(
      async ([key, child]) => [key, await fill(child, [...place, key])] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  }

  async function fill(value: unknown, place: Path): Promise<unknown> {
    const reference = readReference(value);
    if (reference === undefined) return fillWithin(value, place);
    const { kind, name } = reference;
    if (kind === 'file') files.push(resolve(sources.baseDirectory, name));
    const result = await (kind === 'env' ? findInEnvironment : findInFile)(name, sources);
    if (!('secret' in result)) {
      problems.push({ path: place, ...result });
      return undefined;
    }
    secrets.push(result.secret);
    if (result.warning !== undefined) warnings.push({ path: place, ...result.warning });
    return result.secret;
  }

  const value = await (mayBeReference ? fill : fillWithin)(options, path);
  return { value, problems, warnings, files, secrets };
}

interface Reference {
  readonly kind: 'env' | 'file';
  readonly name: string;
}

/** Returns what a value refers to, or undefined if it is not a reference. */
export function readReference(value: unknown): Reference | undefined {
  const [[kind, name] = [], ...furtherEntries] = isObject(value) ? Object.entries(value) : [];
  const isReference = (kind === 'env' || kind === 'file') && furtherEntries.length === 0;
  return isReference && typeof name === 'string' ? { kind, name } : undefined;
}

/** The text that `init` writes into the file of a password that only the operator knows. */
export const placeholder = 'replace this by the password of the service account';

/** The fix for a secret that is written in the config. */
export const secretAdvice =
  'write { file: PATH } or { env: NAME } instead; to make the file: (umask 077; cat > PATH)';

const fillIn = 'write the password of the service account into it';

type SecretProblem = Pick<Required<Problem>, 'message' | 'fix'>;
type SecretResult = { readonly secret: string; readonly warning?: SecretProblem } | SecretProblem;

function findInEnvironment(name: string, { environment }: SecretSources): SecretResult {
  if (name === '') return { message: 'env is empty', fix: 'name a variable' };
  const secret = Object.hasOwn(environment, name) ? environment[name] : undefined;
  if (secret) return { secret };
  if (name.startsWith('$')) {
    const plainName = name.replaceAll(/[${}]/g, '');
    return {
      message: 'env is the name of a variable, without $',
      fix: `write { env: ${plainName} }`,
    };
  }
  const state = secret === undefined ? 'not set' : 'empty';
  return {
    message: `the environment variable ${name} is ${state}`,
    fix: 'set it where the gateway is started',
  };
}

async function findInFile(name: string, { baseDirectory }: SecretSources): Promise<SecretResult> {
  if (name === '') return { message: 'file is empty', fix: 'name a file' };
  const file = resolve(baseDirectory, name);
  try {
    const secret = (await readText(file, secretFileLimit)).replace(/\r?\n$/, '');
    if (secret === placeholder)
      return { message: `the file ${file} still contains the text that init wrote`, fix: fillIn };
    if (secret === '')
      return { message: `the file ${file} is empty`, fix: 'write the secret into it' };
    if (!/[\r\n]$/.test(secret)) return { secret };
    const message = `the file ${file} ends with several line ends, and all but the last are part of the secret`;
    return { secret, warning: { message, fix: 'remove the empty lines at its end' } };
  } catch (error) {
    if (!(error instanceof UnusableFileError)) throw error;
    return {
      message: error.message,
      fix: error.fix ?? 'make it a file that contains only the secret',
    };
  }
}

/** Drops the problems that follow from a missing secret. One that quotes a secret says `instead`. */
export function withoutSecrets(
  problems: readonly Problem[],
  filledPart: FilledSecrets,
  instead: string,
): Problem[] {
  return problems.flatMap((problem) => {
    if (filledPart.problems.some((secretProblem) => overlaps(secretProblem.path, problem.path)))
      return [];
    const words = [problem.message, problem.fix ?? ''].join(': ');
    if (withholdSecrets(words, filledPart.secrets, instead) === words) return [problem];
    return [{ path: problem.path, message: instead }];
  });
}

/**
 * Keeps secrets out of a text of a plugin or a library, which may quote its input. The whole text is withheld then, since
 * the rest of it could still give the secret away.
 */
export function withholdSecrets(text: string, secrets: readonly string[], instead: string): string {
  const spellings = secrets.flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
  ]);
  return spellings.some((spelling) => text.includes(spelling)) ? instead : text;
}

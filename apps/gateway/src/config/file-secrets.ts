import { resolve } from 'node:path';
import { makeKey } from './cache/redis.ts';
import { type Path, type Problem, valueAt } from './problems.ts';
import { fileJsonSchema } from './schema.ts';
import { findParts, type JsonSchema } from './schema-parts.ts';
import {
  type FilledSecrets,
  fillSecrets,
  readReference,
  type SecretSources,
  secretAdvice,
  withoutSecrets,
} from './secrets.ts';

type File = Readonly<Record<string, unknown>>;

/** The file with its secrets in place. */
export interface FilledFile extends FilledSecrets<File> {
  /** The paths of the maps that have secrets. */
  readonly maps: readonly Path[];
}

/**
 * Fills in the secrets of the file itself, which its schema marks as `writeOnly`; plugins have their options. A marked text must be a reference. In a
 * marked map, such as that of a Redis, each value may be one. Secrets that are missing or written out are problems.
 *
 * @param file as it is written
 */
export async function fillFile(file: File, sources: SecretSources): Promise<FilledFile> {
  const schema = fileJsonSchema();
  const marks = findMarks(schema, file);
  const filledValues = await Promise.all(
    marks.map(({ path, isMap }) => fillSecrets(valueAt(file, path), path, sources, !isMap)),
  );
  const maps = marks.map(({ path, isMap }) => (isMap ? path : path.slice(0, -1)));
  // Once it is filled in, a secret can't be distinguished from one that is written in the file, which more people may read.
  const writtenOut = findSecretTexts(schema, file, []).filter((path) => isIn(maps, path));
  return {
    value: marks.reduce<unknown>(
      (parent, { path }, index) => replaceAt(parent, path, filledValues[index]?.value),
      file,
    ) as File,
    problems: [
      ...filledValues.flatMap(({ problems }) => problems),
      ...writtenOut.map((path) => describeWrittenOut(path, String(valueAt(file, path)))),
    ].map(addKeyAdvice),
    warnings: filledValues.flatMap(({ warnings }) => warnings),
    files: filledValues.flatMap(({ files }) => files),
    secrets: [
      ...filledValues.flatMap(({ secrets }) => secrets),
      ...writtenOut.map((path) => String(valueAt(file, path))),
    ],
    maps,
  };
}

/**
 * Adds the problems of the secrets, and keeps the secrets out of the others. What is wrong with a secret is said of its file or variable.
 *
 * @param file as it is written, with references in place of secrets
 */
export function addSecretProblems(
  problems: readonly Problem[],
  filledFile: FilledFile,
  file: File,
  baseDirectory: string,
): Problem[] {
  const isWithin = ({ path }: Problem) => isIn(filledFile.maps, path);
  const safe = withoutSecrets(
    problems.filter(isWithin),
    filledFile,
    'is refused; the reason is hidden because it contains a secret',
  );
  return [
    ...problems.filter((problem) => !isWithin(problem)),
    ...safe.map((problem) => {
      const reference = readReference(valueAt(file, problem.path));
      if (reference === undefined || problem.at === 'key') return problem;
      const { kind, name } = reference;
      // A list of secrets is written as one of its entries.
      if (problem.message === 'must be a list')
        return { ...problem, fix: `write [{ ${kind}: ${name} }]` };
      const origin =
        kind === 'env'
          ? `the environment variable ${name}`
          : `the file ${resolve(baseDirectory, name)}`;
      return { ...problem, message: `${origin} ${problem.message}` };
    }),
    ...filledFile.problems,
  ];
}

/** Whether a schema marks a map, in which each value may be a reference. */
export function isMarkedMap({ writeOnly, type }: JsonSchema): boolean {
  return writeOnly === true && type === 'object';
}

function isSecret({ writeOnly, type }: JsonSchema): boolean {
  return writeOnly === true && type !== 'object';
}

interface Mark {
  readonly path: Path;
  readonly isMap: boolean;
}

/** Finds the outermost values that the schema marks. */
function findMarks(schema: JsonSchema, file: File): Mark[] {
  const marks: Mark[] = [];
  for (const { path, schemas } of findParts(schema, file, [])) {
    const isMap = schemas.some(isMarkedMap);
    const isWithin = marks.some((mark) => isIn([mark.path], path));
    if (!isWithin && (isMap || schemas.some(isSecret))) marks.push({ path, isMap });
  }
  return marks;
}

/** Finds the texts of a value that are secrets: their schema says `writeOnly`, or they are URLs with a password. */
export function findSecretTexts(schema: JsonSchema, value: unknown, path: Path): Path[] {
  return [...findParts(schema, value, path)].flatMap(
    ({ path, value: text, schemas, knownKeys }) => {
      // The part with `knownKeys` is for the message about an unknown key.
      if (typeof text !== 'string' || text === '' || knownKeys !== undefined) return [];
      return schemas.some(isSecret) || hasPassword(text) ? [path] : [];
    },
  );
}

function hasPassword(text: string): boolean {
  return (URL.parse(text)?.password ?? '') !== '';
}

/** Adds how to make a key: an operator whose key can't be read may have none yet. */
function addKeyAdvice(problem: Problem): Problem {
  return problem.path.includes('sealingKeys')
    ? { ...problem, fix: `${problem.fix}; if there is no key yet, ${makeKey}` }
    : problem;
}

function describeWrittenOut(path: Path, text: string): Problem {
  return {
    path,
    message: 'is a secret, which must not be in this file',
    fix: hasPassword(text) ? `take the password out of it, or ${secretAdvice}` : secretAdvice,
  };
}

/** Whether a path leads to one of these maps, or into one. */
function isIn(maps: readonly Path[], path: Path): boolean {
  return maps.some((map) => map.every((step, index) => step === path[index]));
}

/** Returns a copy with another value at a path that it has. */
function replaceAt(parent: unknown, [key, ...path]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  const child = replaceAt(valueAt(parent, [key]), path, value);
  return Array.isArray(parent)
    ? parent.with(Number(key), child)
    : { ...Object(parent), [key]: child };
}

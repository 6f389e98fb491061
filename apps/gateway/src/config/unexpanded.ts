import { isObject, overlaps, type Path, type Problem } from './problems.ts';

/** Matches a variable of a shell, of envsubst or of Compose. */
const variable = /\$\{[A-Za-z_]\w*\}|^\$[A-Z_][A-Z0-9_]*$/;

/** The words for a value with a variable. They don't quote it, since it may be a part of a secret. */
const words = {
  message: 'contains a variable, such as $NAME, and nothing replaces variables in this file',
  fix: 'write the value; a secret as { file: PATH } or { env: NAME }; or run envsubst on the file first',
};

/** Finds the texts that contain variables. @param value of the file, as it is written */
export function findVariables(value: unknown, path: Path = []): Problem[] {
  if (typeof value === 'string') return variable.test(value) ? [{ path, ...words }] : [];
  if (!Array.isArray(value) && !isObject(value)) return [];
  const entries: [PropertyKey, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  return entries.flatMap(([key, child]) => findVariables(child, [...path, key]));
}

/** Replaces the problems of texts with variables: what their variables are to become may be right. */
export function withVariables(
  problems: readonly Problem[],
  variables: readonly Problem[],
): Problem[] {
  return problems.map((problem) => {
    const isSame = ({ path }: Problem) =>
      path.length === problem.path.length && overlaps(path, problem.path);
    return variables.find(isSame) ?? problem;
  });
}

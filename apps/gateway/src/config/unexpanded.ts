import { isObject, overlaps, type Path, type Problem } from './problems.ts';

/** Matches a variable of a shell, of envsubst or of Compose. */
const variable = /\$\{[A-Za-z_]\w*\}|^\$[A-Z_][A-Z0-9_]*$/;

/** The words for a value with a variable. They don't quote it, since it may be a part of a secret. */
const words = {
  message: 'contains a variable, such as $NAME, and nothing replaces variables in this file',
  fix: 'write the value; a secret as { file: PATH } or { env: NAME }; or run envsubst on the file first',
};

/** Matches a placeholder of an example: `<TENANT_ID>`, `<your-domain>`, or `{tenant}` in a URL. A group of a regular expression has a name, too. */
const placeholder =
  /(?<!\(\?P?)<(?:[A-Z][A-Z\d_ -]*|[a-z]+[-_ ][\w -]*)>|^[a-z]+:\/\/[^\s]*\{[\w-]+\}/;

const placeholderWords = {
  message: 'contains a placeholder of an example, such as <NAME>',
  fix: 'write your value in its place',
};

/** Lists the texts of a value. */
export function listTexts(
  value: unknown,
  path: Path = [],
): { readonly path: Path; readonly text: string }[] {
  if (typeof value === 'string') return [{ path, text: value }];
  if (!Array.isArray(value) && !isObject(value)) return [];
  const entries: [PropertyKey, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  return entries.flatMap(([key, child]) => listTexts(child, [...path, key]));
}

/** Finds the texts that contain variables or placeholders. @param value of the file, as it is written */
export function findVariables(value: unknown): Problem[] {
  return listTexts(value).flatMap(({ path, text }) => {
    if (variable.test(text)) return [{ path, ...words }];
    return placeholder.test(text) ? [{ path, ...placeholderWords }] : [];
  });
}

/** Replaces the problems of texts with variables or placeholders: what these are to become may be right. */
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

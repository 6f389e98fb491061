import { parseSync, Visitor } from 'oxc-parser';

/** Where a name is declared. */
export interface Declaration {
  readonly name: string;
  /** 1 is the first line of the file. */
  readonly line: number;
}

export interface DeclaredNames {
  /** Variables and parameters, also of a pattern such as `{ a, b }`. Properties and imports do not count. */
  readonly variables: readonly Declaration[];
  /** Functions, methods, and variables that hold a function. */
  readonly functions: readonly Declaration[];
}

/** Pronouns, participles and adverbs. Such a name does not say what a variable holds. */
const vagueNames: ReadonlySet<string> = new Set(
  `one ones other others another own given known unknown found asked written read left more most first before after all
  what why who whom which any each that this these those it some none both same told said seen held kept made sent taken
  gone done put got had at of in on by for with without around ahead here there then again still yet only once whole rest
  thing things part parts way ways looked wanted needed missing waiting asking answered joined filled used useful good bad
  right wrong new former latter previous`.split(/\s+/),
);

export const isVague = ({ name }: Declaration): boolean => vagueNames.has(name);

/** A function is named by a verb: `findBlock`, not `blockOf`. */
export const endsInOf = ({ name }: Declaration): boolean => /[a-z0-9]Of$/.test(name);

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** @param path the name of the file, whose ending says in which language the source is */
export function readDeclaredNames(path: string, source: string): DeclaredNames {
  const variables: Declaration[] = [];
  const functions: Declaration[] = [];
  const lineEnds = [...source.matchAll(/\n/g)].map(({ index }) => index);
  const addTo = (list: Declaration[], name: string, start: number) =>
    list.push({ name, line: 1 + lineEnds.filter((end) => end < start).length });
  const addFunction = (key: unknown) => {
    const { type, name, start } = key as Node;
    if (type === 'Identifier') addTo(functions, String(name), start);
  };
  const addPattern = (pattern: unknown): void => {
    const node = pattern as Node | null;
    if (node === null) return;
    // A parameter called `this` gives a function's `this` its type: no one chose the name.
    if (node.type === 'Identifier' && node.name !== 'this')
      addTo(variables, String(node.name), node.start);
    for (const key of ['left', 'argument', 'parameter']) if (key in node) addPattern(node[key]);
    for (const element of (node.elements ?? []) as unknown[]) addPattern(element);
    for (const property of (node.properties ?? []) as Node[])
      addPattern(property.type === 'Property' ? property.value : property);
  };
  const addParameters = ({ params }: { readonly params: readonly unknown[] }) =>
    params.forEach(addPattern);
  const isFunction = (value: unknown) => /Function/.test((value as Node | null)?.type ?? '');

  new Visitor({
    VariableDeclarator({ id, init }) {
      addPattern(id);
      if (isFunction(init)) addFunction(id);
    },
    CatchClause: ({ param }) => addPattern(param),
    FunctionDeclaration(node) {
      addParameters(node);
      if (node.id !== null) addFunction(node.id);
    },
    FunctionExpression: addParameters,
    ArrowFunctionExpression: addParameters,
    Property({ key, value }) {
      if (isFunction(value)) addFunction(key);
    },
    TSMethodSignature: ({ key }) => addFunction(key),
  }).visit(parseSync(path, source).program);
  return { variables, functions };
}

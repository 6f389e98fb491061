import { parseAst } from 'vitest/node';

type Node = Readonly<Record<string, unknown>> & { readonly type: string };

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** Returns the text that an expression makes. `…` is in place of each value. */
function textOf(node: unknown): string {
  if (!isNode(node)) return '…';
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : '…';
  if (node.type === 'BinaryExpression' && node.operator === '+')
    return textOf(node.left) + textOf(node.right);
  if (node.type !== 'TemplateLiteral') return '…';
  const quasis = node.quasis as readonly { readonly value: { readonly cooked: string } }[];
  return quasis.map(({ value }) => value.cooked).join('…');
}

/** Lists the nodes of the code of a file. */
function nodesIn(source: string): readonly Node[] {
  const nodes: Node[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isNode(value)) return;
    nodes.push(value);
    Object.values(value).forEach(visit);
  };
  visit(parseAst(source, { lang: 'ts' }));
  return nodes;
}

/** Lists the texts in the code of a file: those of its expressions, and of the values within them. */
export function textsIn(source: string): readonly string[] {
  return nodesIn(source)
    .map(textOf)
    .filter((text) => text !== '…');
}

/** Returns the last name of what a call calls: `warn` of `logger.warn(…)`. */
function calledName({ callee }: Node): unknown {
  if (!isNode(callee)) return undefined;
  const { name } = callee.type === 'MemberExpression' ? (callee.property as Node) : callee;
  return name;
}

/** Lists the messages that the code of a file logs as warnings and errors: the last arguments of `logger.warn(fields, message)`. */
export function warningsIn(source: string): readonly string[] {
  return nodesIn(source)
    .filter((node) => node.type === 'CallExpression')
    .filter((call) => ['warn', 'error', 'fatal'].includes(String(calledName(call))))
    .map((call) => call.arguments as readonly Node[])
    .filter((words) => words.length > 1)
    .map((words) => textOf(words.at(-1)))
    .filter((text) => text !== '…');
}

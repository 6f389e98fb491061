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

/** Lists the texts in the code of a file: those of its expressions, and of the values within them. */
export function textsIn(source: string): readonly string[] {
  const texts: string[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isNode(value)) return;
    texts.push(textOf(value));
    Object.values(value).forEach(visit);
  };
  visit(parseAst(source, { lang: 'ts' }));
  return texts.filter((text) => text !== '…');
}

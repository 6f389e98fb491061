import { isAttributeDescription } from './attribute-description.ts';
import { TemplateError } from './template-error.ts';

/** Makes a group's name from its entry. */
export interface NameTemplate {
  /** Each once, as written; `dn` is no attribute but the DN of the entry. */
  readonly attributes: readonly string[];
  /** Undefined when a value that it needs is undefined or empty: then the group has no name. */
  fill(value: (attribute: string) => string | undefined): string | undefined;
}

/**
 * Reads an attribute (`cn`), or a text with attributes in braces (`team:{cn}`). Literal braces can't be written: they
 * are more likely a mistake, and all groups would then have that one name.
 *
 * @throws TemplateError with the column and the fix
 */
export function parseNameTemplate(text: string): NameTemplate {
  const pieces = /[{}]/.test(text) ? pieceTogether(text) : [attributePiece(text, text, 0)];
  const attributes = [...new Set(pieces.flatMap((piece) => ('attribute' in piece ? [piece.attribute] : [])))];
  if (attributes.length === 0) throw new TemplateError(text, 0, 'no attribute', 'write cn, or {cn} within a text');
  return {
    attributes,
    fill(value) {
      const texts = pieces.map((piece) => ('attribute' in piece ? value(piece.attribute) : piece.literal));
      return texts.includes(undefined) || texts.includes('') ? undefined : texts.join('');
    },
  };
}

type Piece = { readonly literal: string } | { readonly attribute: string };

const piece = /\{(?<attribute>[^{}]*)\}|(?<literal>[^{}]+)/y;

function pieceTogether(text: string): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < text.length; at = piece.lastIndex) {
    piece.lastIndex = at;
    const groups = piece.exec(text)?.groups;
    if (groups === undefined) throw new TemplateError(text, at, 'a brace without its partner', 'write {cn}');
    const { attribute, literal = '' } = groups;
    pieces.push(attribute === undefined ? { literal } : attributePiece(text, attribute, at));
  }
  return pieces;
}

function attributePiece(text: string, attribute: string, index: number): Piece {
  if (!isAttributeDescription(attribute)) {
    const fix = 'write cn, or a text with attributes in braces, such as team:{cn}';
    throw new TemplateError(text, index, `"${attribute}" is no attribute`, fix);
  }
  return { attribute: attribute.toLowerCase() === 'dn' ? 'dn' : attribute };
}

import type { Filter } from './types.ts';

/** A filter in its string form (RFC 4515), for people to read and to paste into ldapsearch. Nothing sends it. */
export function filterText(filter: Filter): string {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return `(${filter.kind === 'and' ? '&' : '|'}${filter.filters.map(filterText).join('')})`;
    case 'not':
      return `(!${filterText(filter.filter)})`;
    case 'present':
      return `(${filter.attribute}=*)`;
    case 'substring': {
      const { attribute, initial, any, final } = filter;
      return `(${attribute}=${[initial, ...any, final].map((part) => (part ? escaped(part) : '')).join('*')})`;
    }
    case 'extensible': {
      const { attribute = '', rule, dnAttributes, value } = filter;
      return `(${attribute}${dnAttributes ? ':dn' : ''}${rule === undefined ? '' : `:${rule}`}:=${escaped(value)})`;
    }
    default:
      return `(${filter.attribute}${operators[filter.kind]}${escaped(filter.value)})`;
  }
}

const operators = { equality: '=', 'greater-or-equal': '>=', 'less-or-equal': '<=', approximate: '~=' } as const;

/** What is neither printable nor free of meaning is written by its bytes, so that no value can play with a terminal. */
function escaped(value: Buffer): string {
  const text = value.toString();
  const isText = Buffer.from(text).equals(value);
  if (!isText) return hexadecimal(value);
  return text.replace(/[()*\\]|[\p{C}\p{Z}]/gu, (one) => (one === ' ' ? one : hexadecimal(Buffer.from(one))));
}

function hexadecimal(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
}

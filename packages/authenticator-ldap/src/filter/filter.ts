import { isUtf8 } from 'node:buffer';

/**
 * A search filter (RFC 4511 section 4.5.1.7) as data. Values are the bytes that are sent: nothing here is escaped, and
 * no value ever becomes part of a filter string.
 */
export type Filter = FilterOf<Buffer>;

/** A filter whose values are bytes, or in a template the parts that bytes are made of. */
export type FilterOf<Value> =
  | { readonly kind: 'and' | 'or'; readonly filters: readonly FilterOf<Value>[] }
  | { readonly kind: 'not'; readonly filter: FilterOf<Value> }
  | Assertion<Value>;

export type Assertion<Value> =
  | {
      readonly kind: 'equality' | 'greater-or-equal' | 'less-or-equal' | 'approximate';
      readonly attribute: string;
      readonly value: Value;
    }
  | { readonly kind: 'present'; readonly attribute: string }
  | {
      readonly kind: 'substring';
      readonly attribute: string;
      readonly initial?: Value;
      readonly any: readonly Value[];
      readonly final?: Value;
    }
  | {
      readonly kind: 'extensible';
      readonly attribute?: string;
      /** A matching rule's OID or name, such as 1.2.840.113556.1.4.1941 for AD's "in chain". */
      readonly rule?: string;
      readonly dnAttributes: boolean;
      readonly value: Value;
    };

/** Matches every entry (RFC 4512 section 2.4.1), to find out whether one exists. */
export const anyEntry: Assertion<never> = { kind: 'present', attribute: 'objectClass' };

/**
 * Writes a filter in its string form (RFC 4515), for operators to read and to paste into
 * ldapsearch. It is never sent.
 */
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
      const { attribute, initial, any: middle, final } = filter;
      return `(${attribute}=${[initial, ...middle, final].map((segment) => (segment ? escaped(segment) : '')).join('*')})`;
    }
    case 'extensible': {
      const { attribute = '', rule, dnAttributes, value } = filter;
      return `(${attribute}${dnAttributes ? ':dn' : ''}${rule === undefined ? '' : `:${rule}`}:=${escaped(value)})`;
    }
    default:
      return `(${filter.attribute}${operators[filter.kind]}${escaped(filter.value)})`;
  }
}

const operators = {
  equality: '=',
  'greater-or-equal': '>=',
  'less-or-equal': '<=',
  approximate: '~=',
} as const;

/** Writes special and unprintable characters as bytes, so that no value can control a terminal. */
function escaped(value: Buffer): string {
  if (!isUtf8(value)) return hexadecimal(value);
  return value
    .toString()
    .replace(/[()*\\]|[\p{C}\p{Z}]/gu, (character) =>
      character === ' ' ? character : hexadecimal(Buffer.from(character)),
    );
}

function hexadecimal(bytes: Buffer): string {
  return bytes.toString('hex').replace(/../g, '\\$&');
}

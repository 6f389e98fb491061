import { type Assertion, anyEntry, type Filter, type FilterOf } from './filter.ts';
import type { ValueTemplate } from './filter-grammar.ts';

/** A filter of the config with `*` in place of each placeholder. */
export function anyValues(filter: FilterOf<ValueTemplate>): Filter {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return { kind: filter.kind, filters: filter.filters.map(anyValues) };
    case 'not':
      return { kind: 'not', filter: anyValues(filter.filter) };
    case 'present':
      return filter;
    case 'substring': {
      const { attribute, initial = [], any, final = [] } = filter;
      return withGaps(attribute, [initial, ...any, final]);
    }
    default:
      return anyValue(filter);
  }
}

type Comparison = Exclude<Assertion<ValueTemplate>, { kind: 'present' | 'substring' }>;

/** Only equality has a form for a part of a value. Of other comparisons remains that there is a value. */
function anyValue(assertion: Comparison): Filter {
  const { attribute, value } = assertion;
  const literal = literalOf(value);
  if (literal !== undefined) return { ...assertion, value: literal };
  if (attribute === undefined) return anyEntry;
  return assertion.kind === 'equality' ? withGaps(attribute, [value]) : { kind: 'present', attribute };
}

/** @returns undefined when the value has a placeholder */
function literalOf(value: ValueTemplate): Buffer | undefined {
  const bytes = value.filter((part) => Buffer.isBuffer(part));
  return bytes.length === value.length ? Buffer.concat(bytes) : undefined;
}

/** @param parts with an asterisk between each of them */
function withGaps(attribute: string, parts: readonly ValueTemplate[]): Filter {
  const pieces = parts.flatMap(piecesOf);
  const [initial = empty, final = empty] = [pieces[0], pieces.at(-1)];
  const any = pieces.slice(1, -1).filter(({ length }) => length > 0);
  if (initial.length + final.length === 0 && any.length === 0) return { kind: 'present', attribute };
  return {
    kind: 'substring',
    attribute,
    ...(initial.length > 0 && { initial }),
    any,
    ...(final.length > 0 && { final }),
  };
}

const empty = Buffer.alloc(0);

/** The literals before, between and after the placeholders, at least one. */
function piecesOf(value: ValueTemplate): Buffer[] {
  const pieces: Buffer[] = [empty];
  for (const part of value) {
    if (Buffer.isBuffer(part)) pieces[pieces.length - 1] = Buffer.concat([pieces.at(-1) ?? part, part]);
    else pieces.push(empty);
  }
  return pieces;
}

import type { FilterOf } from './filter.ts';
import type { ValueTemplate } from './filter-grammar.ts';

/** How a filter compares the attributes of an entry with what its placeholders stand for: by equality only. */
export type Comparison =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Comparison[] }
  | { readonly kind: 'equality'; readonly attribute: string; readonly value: ValueTemplate };

/**
 * Reads from a filter what it compares with its placeholders. Parts without a placeholder are left out, since an entry that matches
 * only by such a part has none of the values.
 *
 * @returns undefined when no text could be compared: there is no placeholder, or one is in a `not`, a substring, or a match by
 *   another rule
 */
export function findComparison(filter: FilterOf<ValueTemplate>): Comparison | undefined {
  if (filter.kind === 'and' || filter.kind === 'or') {
    const operands = filter.filters.filter(hasPlaceholder).map(findComparison);
    const comparisons = operands.filter((operand) => operand !== undefined);
    if (comparisons.length === 0 || comparisons.length < operands.length) return undefined;
    return { kind: filter.kind, parts: comparisons };
  }
  if (filter.kind !== 'equality' || !hasPlaceholder(filter)) return undefined;
  const { attribute, value } = filter;
  return { kind: 'equality', attribute, value };
}

export function hasPlaceholder(filter: FilterOf<ValueTemplate>): boolean {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filter.filters.some(hasPlaceholder);
    case 'not':
      return hasPlaceholder(filter.filter);
    case 'present':
      return false;
    case 'substring':
      return [filter.initial, ...filter.any, filter.final].some(
        (value) => value !== undefined && isFilledIn(value),
      );
    default:
      return isFilledIn(filter.value);
  }
}

const isFilledIn = (value: ValueTemplate) => value.some((segment) => typeof segment === 'string');

/** Lists the attributes, each as the filter writes it. */
export function comparedAttributes(comparison: Comparison): readonly string[] {
  return comparison.kind === 'equality'
    ? [comparison.attribute]
    : [...new Set(comparison.parts.flatMap(comparedAttributes))];
}

/**
 * Whether the values of an entry are those that the filter asked for, when only case is ignored. Directories compare more loosely:
 * they ignore accents, widths, inner spaces and characters that no one sees.
 *
 * @param text fills all placeholders
 * @param values returns the values of an attribute of the entry
 */
export function isExactly(
  comparison: Comparison,
  text: string,
  values: (attribute: string) => readonly string[],
): boolean {
  const isPartExact = (operand: Comparison) => isExactly(operand, text, values);
  switch (comparison.kind) {
    case 'and':
      return comparison.parts.every(isPartExact);
    case 'or':
      return comparison.parts.some(isPartExact);
    case 'equality': {
      const { attribute, value } = comparison;
      const expected = value
        .map((segment) => (typeof segment === 'string' ? text : String(segment)))
        .join('');
      return values(attribute).some((entryValue) => isSameButForCase(entryValue, expected));
    }
  }
}

/**
 * Compares without normalization. The lowercase form alone would make the Kelvin sign (U+212A) a k, and the uppercase form alone a
 * dotless i an i.
 */
export function isSameButForCase(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase() && a.toUpperCase() === b.toUpperCase();
}

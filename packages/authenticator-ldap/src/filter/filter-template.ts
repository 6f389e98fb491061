import { AuthenticatorError } from '@sallyport/authenticator';
import { anyValues } from './any-values.ts';
import type { Assertion, Filter, FilterOf } from './filter.ts';
import { type Placeholder, parseFilter, type ValueTemplate } from './filter-grammar.ts';
import { TemplateError } from './template-error.ts';

/** Assertions of a filter once it is filled in: they limit what a server has to do for one login. */
const maxAssertions = 10_000;

/** A filter of the config, parsed once. Values are put into it as bytes, so none can change its meaning. */
export interface FilterTemplate {
  /** `username`, `dn`, `attribute:NAME` as written. */
  readonly placeholders: ReadonlySet<string>;

  /**
   * An assertion whose placeholder has several values becomes one that holds for any of them (with several
   * placeholders: for any combination). Where a placeholder has no value nothing can match: the assertion is dropped
   * from an `or`, and an `and` or `not` around it can't match either. Empty values count as none.
   *
   * @param values called once for each placeholder; strings are sent as UTF-8
   * @returns undefined when nothing can match: there is nothing to search for
   * @throws AuthenticatorError `failed` when values make more than 10,000 assertions
   */
  fill(values: (placeholder: string) => readonly (string | Buffer)[]): Filter | undefined;

  /** The filter with each placeholder standing for any text: an entry matches when some value would find it. */
  withAnyValues(): Filter;
}

/**
 * Reads a filter (RFC 4515) with placeholders in its values. `\7b` and `\7d` are literal braces.
 *
 * @param allowed what to write in place of a placeholder, by its name without braces; undefined when it is allowed
 * @throws TemplateError with the column and the fix
 */
export function parseFilterTemplate(
  text: string,
  allowed: (placeholder: string) => string | undefined,
): FilterTemplate {
  const root = parseFilter(text);
  const found = placeholdersWithin(root);
  for (const { placeholder, index } of found) {
    const fix = allowed(placeholder);
    if (fix !== undefined) throw new TemplateError(text, index, `{${placeholder}} is not allowed here`, fix);
  }
  const placeholders = new Set(found.map(({ placeholder }) => placeholder));
  const fill = compile(root);
  return {
    placeholders,
    fill(values) {
      const known = new Map([...placeholders].map((name) => [name, usable(values(name))]));
      return fill({ values: known, assertions: 0 });
    },
    withAnyValues: () => anyValues(root),
  };
}

type Assignment = ReadonlyMap<string, Buffer>;

interface Filling {
  readonly values: ReadonlyMap<string, readonly Buffer[]>;
  /** Made so far. */
  assertions: number;
}

/** Each way to give each of the placeholders one of its values. */
function assignments(filling: Filling, placeholders: readonly string[]): Assignment[] {
  const choices = placeholders.map((name) => [name, filling.values.get(name) ?? []] as const);
  filling.assertions += choices.reduce((product, [, values]) => product * values.length, 1);
  if (filling.assertions > maxAssertions) {
    const names = choices.map(([name, values]) => `{${name}}: ${values.length}`).join(', ');
    const message = `a filter would have more than ${maxAssertions} assertions with these values (${names})`;
    throw new AuthenticatorError('failed', message);
  }
  return choices.reduce<Assignment[]>(
    (made, [name, values]) => made.flatMap((one) => values.map((value) => new Map([...one, [name, value]]))),
    [new Map()],
  );
}

type Fill = (filling: Filling) => Filter | undefined;

/** What can be known without values is found out once: filling is a part of every login. */
function compile(filter: FilterOf<ValueTemplate>): Fill {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return compileList(filter.kind, filter.filters.map(compile));
    case 'not': {
      const fill = compile(filter.filter);
      return (filling) => {
        const inner = fill(filling);
        return inner && { kind: 'not', filter: inner };
      };
    }
    default: {
      const names = [...new Set(placeholdersWithin(filter).map(({ placeholder }) => placeholder))];
      return (filling) => {
        const filters = assignments(filling, names).map((assignment) => fillAssertion(filter, assignment));
        return filters.length > 1 ? { kind: 'or', filters } : filters[0];
      };
    }
  }
}

function compileList(kind: 'and' | 'or', fills: readonly Fill[]): Fill {
  return (filling) => {
    const filters = fills.map((fill) => fill(filling)).filter((inner) => inner !== undefined);
    const matches = kind === 'and' ? filters.length === fills.length : filters.length > 0;
    return matches ? { kind, filters } : undefined;
  };
}

function fillAssertion(assertion: Assertion<ValueTemplate>, assignment: Assignment): Assertion<Buffer> {
  const bytes = (value: ValueTemplate) =>
    Buffer.concat(value.map((part) => (Buffer.isBuffer(part) ? part : (assignment.get(part.placeholder) ?? empty))));
  if (assertion.kind === 'present') return assertion;
  if (assertion.kind !== 'substring') return { ...assertion, value: bytes(assertion.value) };
  const { initial, any, final, ...rest } = assertion;
  return {
    ...rest,
    ...(initial && { initial: bytes(initial) }),
    any: any.map(bytes),
    ...(final && { final: bytes(final) }),
  };
}

const empty = Buffer.alloc(0);

function usable(values: readonly (string | Buffer)[]): readonly Buffer[] {
  return values
    .filter((value) => value.length > 0)
    .map((value) => (typeof value === 'string' ? Buffer.from(value) : value));
}

function placeholdersWithin(filter: FilterOf<ValueTemplate>): Placeholder[] {
  return valuesWithin(filter).flatMap((value) => value.filter((part): part is Placeholder => !Buffer.isBuffer(part)));
}

function valuesWithin(filter: FilterOf<ValueTemplate>): readonly ValueTemplate[] {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filter.filters.flatMap(valuesWithin);
    case 'not':
      return valuesWithin(filter.filter);
    case 'present':
      return [];
    case 'substring':
      return [filter.initial ?? [], ...filter.any, filter.final ?? []];
    default:
      return [filter.value];
  }
}

import { AuthenticatorError } from '@sallyport/authenticator';
import { type Comparison, findComparison, hasPlaceholder } from './comparison.ts';
import type { Assertion, Filter, FilterOf } from './filter.ts';
import { type PlaceholderCheck, parseFilter, type ValueTemplate } from './filter-grammar.ts';

/** The limit for the assertions of a filled-in filter, and so for the work of a server for one login. */
const maxAssertions = 10_000;

type Encode = (attribute: string, value: Buffer) => Buffer | undefined;

/** A filter of the config, parsed once. Values are put into it as bytes, so none can change its meaning. */
export interface FilterTemplate {
  /** The placeholders as written: `username`, `dn`, `attribute:NAME`. */
  readonly placeholders: ReadonlySet<string>;

  /**
   * Fills in values. An assertion whose placeholder has several values matches any of them, or with
   * several placeholders any combination. Where a placeholder has no value nothing can match: the
   * assertion is dropped from an `or`, and an `and` or `not` around it can't match either. Empty
   * values count as none.
   *
   * @param values is called once for each placeholder. Strings are sent as UTF-8
   * @param encode returns the bytes of a value that an attribute is to equal, or undefined when it can't equal it. It is called
   *   where a placeholder is the whole value
   * @returns undefined when nothing can match, so that no search is needed
   * @throws AuthenticatorError `failed` when values make more than 10,000 assertions
   */
  fill(
    values: (placeholder: string) => readonly (string | Buffer)[],
    encode?: Encode,
  ): Filter | undefined;

  /** What is compared with the placeholders. Undefined when anything is compared with one in another way than by equality. */
  readonly comparison: Comparison | undefined;

  /** The filter whose placeholders match any text: an entry matches when some value would find it. */
  readonly anyValues: Filter;

  /**
   * The same where it asks for no more than that the attributes with a placeholder are present: if no entry matches it, no value
   * finds one. Undefined if a placeholder is only a part of a value, or is within a `not`, a substring or an extensible match.
   */
  readonly presence: Filter | undefined;
}

/** Reads a filter (RFC 4515) with placeholders in its values. @throws TemplateError with the column and the fix */
export function parseFilterTemplate(text: string, allowed: PlaceholderCheck): FilterTemplate {
  const placeholders = new Set<string>();
  const filter = parseFilter(text, allowed);
  const fill = compile(filter, placeholders);
  const anyValues = compile(
    parseFilter(text),
    new Set(),
  )({ values: new Map(), assertions: 0 }) as Filter;
  return {
    placeholders,
    fill(values, encode) {
      const usableValues = new Map([...placeholders].map((name) => [name, usable(values(name))]));
      return fill({ values: usableValues, assertions: 0, encode });
    },
    comparison: findComparison(filter),
    anyValues,
    presence: becomesPresence(filter) ? anyValues : undefined,
  };
}

function becomesPresence(filter: FilterOf<ValueTemplate>): boolean {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filter.filters.every(becomesPresence);
    case 'not':
    case 'present':
    case 'substring':
    case 'extensible':
      return !hasPlaceholder(filter);
    default:
      return new Set(filter.value.map((segment) => typeof segment)).size < 2;
  }
}

interface FillState {
  readonly values: ReadonlyMap<string, readonly Buffer[]>;
  assertions: number;
  readonly encode?: Encode | undefined;
}

type Fill = (filling: FillState) => Filter | undefined;

/** Prepares once what does not depend on values, since filling is a part of every login. */
function compile(filter: FilterOf<ValueTemplate>, placeholders: Set<string>): Fill {
  switch (filter.kind) {
    case 'and':
    case 'or': {
      const { kind } = filter;
      const fills = filter.filters.map((operand) => compile(operand, placeholders));
      return (filling) => {
        const filters = fills.map((fill) => fill(filling)).filter((inner) => inner !== undefined);
        const matches = kind === 'and' ? filters.length === fills.length : filters.length > 0;
        return matches ? { kind, filters } : undefined;
      };
    }
    case 'not': {
      const fill = compile(filter.filter, placeholders);
      return (filling) => {
        const inner = fill(filling);
        return inner && { kind: 'not', filter: inner };
      };
    }
    default: {
      const names = new Set<string>();
      mapValues(filter, (value) => {
        for (const segment of value) if (typeof segment === 'string') names.add(segment);
      });
      for (const name of names) placeholders.add(name);
      return (filling) => {
        const filters = listAssignments(filling, [...names])
          .map((assignment) =>
            mapValues(filter, (value) =>
              Buffer.concat(value.map((segment) => toBytes(segment, assignment))),
            ),
          )
          .map((assertion) => encoded(filter, assertion, filling.encode))
          .filter((assertion) => assertion !== undefined);
        return filters.length > 1 ? { kind: 'or', filters } : filters[0];
      };
    }
  }
}

function encoded(
  template: Assertion<ValueTemplate>,
  assertion: Assertion<Buffer>,
  encode: Encode | undefined,
): Assertion<Buffer> | undefined {
  const isWhole =
    template.kind === 'equality' &&
    template.value.length === 1 &&
    typeof template.value[0] === 'string';
  if (encode === undefined || !isWhole || assertion.kind !== 'equality') return assertion;
  const value = encode(assertion.attribute, assertion.value);
  return value && { ...assertion, value };
}

function mapValues<From, To>(assertion: Assertion<From>, map: (value: From) => To): Assertion<To> {
  if (assertion.kind === 'present') return assertion;
  if (assertion.kind !== 'substring') return { ...assertion, value: map(assertion.value) };
  const { initial, any: middle, final, ...common } = assertion;
  return {
    ...common,
    ...(initial !== undefined && { initial: map(initial) }),
    any: middle.map(map),
    ...(final !== undefined && { final: map(final) }),
  };
}

type Assignment = ReadonlyMap<string, Buffer>;

/** Lists each way to give each of the placeholders one of its values. */
function listAssignments(filling: FillState, placeholders: readonly string[]): Assignment[] {
  const choices = placeholders.map((name) => [name, filling.values.get(name) ?? []] as const);
  filling.assertions += choices.reduce((product, [, values]) => product * values.length, 1);
  if (filling.assertions > maxAssertions) {
    const names = choices.map(([name, values]) => `{${name}}: ${values.length}`).join(', ');
    const message = `a filter would have more than ${maxAssertions} assertions with these values (${names})`;
    throw new AuthenticatorError('failed', message);
  }
  return choices.reduce<Assignment[]>(
    (combinations, [name, values]) =>
      combinations.flatMap((assignment) =>
        values.map((value) => new Map([...assignment, [name, value]])),
      ),
    [new Map()],
  );
}

function toBytes(segment: Buffer | string, assignment: Assignment): Buffer {
  return typeof segment === 'string' ? (assignment.get(segment) ?? Buffer.alloc(0)) : segment;
}

function usable(values: readonly (string | Buffer)[]): readonly Buffer[] {
  return values
    .filter((value) => value.length > 0)
    .map((value) => (typeof value === 'string' ? Buffer.from(value) : value));
}

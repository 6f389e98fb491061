import { isAttributeDescription, isObjectIdentifier } from './attribute-description.ts';
import { type ValueTemplate, ValueText } from './filter-value.ts';
import { TemplateFault } from './template-fault.ts';
import type { Assertion, FilterOf } from './types.ts';

/** Characters. A filter of any use is far shorter. */
const longestFilter = 16_384;
/** Filters within filters. */
const deepestFilter = 32;

const operators = { '=': 'equality', '>=': 'greater-or-equal', '<=': 'less-or-equal', '~=': 'approximate' } as const;
type Operator = keyof typeof operators;

/**
 * Reads a filter in its string form (RFC 4515), with placeholders in its values. Besides the standard, spaces and line
 * breaks may stand between filters, as in YAML texts of several lines.
 *
 * @throws TemplateFault
 */
export function parseFilter(text: string): FilterOf<ValueTemplate> {
  if (text.length > longestFilter) {
    throw new TemplateFault(text, longestFilter, 'the filter is too long', `write at most ${longestFilter} characters`);
  }
  const malformed = /\p{Surrogate}/u.exec(text);
  if (malformed) throw new TemplateFault(text, malformed.index, 'half a character', 'save the file as UTF-8');
  const parser = new FilterParser(text);
  const filter = parser.filter(0);
  parser.end();
  return filter;
}

class FilterParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skipSpace();
  }

  filter(depth: number): FilterOf<ValueTemplate> {
    if (depth > deepestFilter) this.#fail('filters are nested too deep', `nest at most ${deepestFilter}`);
    this.#expectOpen();
    const filter = this.#content(depth);
    if (this.#text[this.#at] !== ')') this.#failUnclosed();
    this.#at++;
    this.#skipSpace();
    return filter;
  }

  end(): void {
    if (this.#at === this.#text.length) return;
    this.#fail('something follows the filter', 'put filters together, as in (&(uid={username})(objectClass=person))');
  }

  #content(depth: number): FilterOf<ValueTemplate> {
    const operator = this.#text[this.#at];
    if (operator !== '&' && operator !== '|' && operator !== '!') return this.#assertion();
    this.#at++;
    this.#skipSpace();
    if (operator === '!') return { kind: 'not', filter: this.filter(depth + 1) };
    const filters: FilterOf<ValueTemplate>[] = [this.filter(depth + 1)];
    while (this.#text[this.#at] === '(') filters.push(this.filter(depth + 1));
    return { kind: operator === '&' ? 'and' : 'or', filters };
  }

  #assertion(): Assertion<ValueTemplate> {
    const start = this.#at;
    const [left = ''] = /^[^=<>~()]*/.exec(this.#text.slice(start)) ?? [];
    this.#at += left.length;
    if (/[{}]/.test(left)) {
      this.#failAt(start + left.search(/[{}]/), 'a placeholder outside a value', 'placeholders stand after the = only');
    }
    const [operator] = /^[<>~]?=/.exec(this.#text.slice(this.#at)) ?? [];
    if (operator === undefined)
      this.#fail('no = after the attribute', 'write (attribute=value), such as (uid={username})');
    this.#at += operator.length;
    if (operator === '=' && left.endsWith(':')) return this.#extensible(left, start);
    if (!isAttributeDescription(left)) this.#failAttribute(left, start);
    if (operator === '=') return this.#equalityOrSubstring(left);
    return { kind: operators[operator as Operator], attribute: left, value: this.#value().whole() };
  }

  #equalityOrSubstring(attribute: string): Assertion<ValueTemplate> {
    const parts = this.#value().betweenAsterisks();
    const [first = [], ...rest] = parts;
    const last = rest.pop();
    if (last === undefined) return { kind: 'equality', attribute, value: first };
    if (rest.length === 0 && first.length === 0 && last.length === 0) return { kind: 'present', attribute };
    if (rest.some((part) => part.length === 0)) this.#fail('two * in a row', 'write one');
    return {
      kind: 'substring',
      attribute,
      ...(first.length > 0 && { initial: first }),
      any: rest,
      ...(last.length > 0 && { final: last }),
    };
  }

  /** `attribute:dn:rule:=value`, where attribute or rule, and always `:dn`, may be left out. */
  #extensible(left: string, start: number): Assertion<ValueTemplate> {
    const [attribute = '', ...others] = left.slice(0, -1).split(':');
    const dnAttributes = others[0]?.toLowerCase() === 'dn';
    const [rule, ...surplus] = dnAttributes ? others.slice(1) : others;
    if (attribute !== '' && !isAttributeDescription(attribute)) this.#failAttribute(attribute, start);
    const badRule = surplus.length > 0 || (rule === undefined ? attribute === '' : !isObjectIdentifier(rule));
    if (badRule) {
      this.#failAt(start, 'no matching rule', 'write (member:1.2.840.113556.1.4.1941:={dn}) or (ou:dn:=people)');
    }
    const value = this.#value().whole();
    return { kind: 'extensible', ...(attribute !== '' && { attribute }), ...(rule && { rule }), dnAttributes, value };
  }

  /** The text from here to the closing parenthesis. */
  #value(): ValueText {
    const value = new ValueText(this.#text, this.#at);
    this.#at = value.end;
    return value;
  }

  #expectOpen(): void {
    if (this.#text[this.#at] === '(') this.#at++;
    else this.#fail('no filter begins here', 'put each filter in parentheses, such as (uid={username})');
  }

  #skipSpace(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #failAttribute(attribute: string, start: number): never {
    const named = attribute === '' ? 'no attribute before the operator' : `"${attribute}" is no attribute`;
    this.#failAt(start, named, 'write its name (letters, digits, dashes) or OID, without spaces');
  }

  #failUnclosed(): never {
    this.#fail('a ) is missing', 'close each parenthesis; in a value write \\28 for ( and \\29 for )');
  }

  #fail(fault: string, mend: string): never {
    this.#failAt(this.#at, fault, mend);
  }

  #failAt(index: number, fault: string, mend: string): never {
    throw new TemplateFault(this.#text, index, fault, mend);
  }
}

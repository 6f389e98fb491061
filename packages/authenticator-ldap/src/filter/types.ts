/**
 * A search filter (RFC 4511 section 4.5.1.7) as data. Values are the bytes that go out: nothing here is escaped, and
 * nothing is ever put into a filter string.
 */
export type Filter = FilterOf<Buffer>;

/** A filter whose values are bytes, or in a template what bytes will be made of. */
export type FilterOf<Value> =
  | { readonly kind: 'and' | 'or'; readonly filters: readonly FilterOf<Value>[] }
  | { readonly kind: 'not'; readonly filter: FilterOf<Value> }
  | Assertion<Value>;

/** What a filter says of one attribute. */
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
